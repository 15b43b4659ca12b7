// Package e2e is the end-to-end suite: it builds the real binary, runs it on
// free ports and a real disk, and speaks only sockets, signals and commands.
// Everything it expects is written in the README and the OpenAPI document; it
// never looks into the house.
package e2e

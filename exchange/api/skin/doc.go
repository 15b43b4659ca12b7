// Package skin lets sellers who speak another platform's wire format sell
// without a change: it turns their request into the body of /v1/ping, /v1/post
// or /v1/direct, and the native answer into the one they know how to read.
//
// It is pure translation: no engine, no HTTP server, no clock, no I/O. It
// decides nothing about a lead, and whatever the native face refuses, a skin
// refuses, in the platform's words. DESIGN.md beside it says which word stands
// for which, and why.
package skin

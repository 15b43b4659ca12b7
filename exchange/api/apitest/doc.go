// Package apitest holds answers against the house's OpenAPI document, for the
// tests of whoever serves or speaks the routes in it.
//
// It reads the document and never the code: what it knows of a route is what a
// stranger would. No room imports it outside a test.
package apitest

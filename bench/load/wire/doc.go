// Package wire holds the few system calls and the little HTTP that the load
// generator, the cheap buyers and the bare peers share. It owns no connection
// and knows nothing of leads. It is for loopback and for answers with a
// Content-Length; it is no HTTP client, and nothing of the product uses it.
package wire

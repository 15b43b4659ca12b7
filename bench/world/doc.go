// Package world is what stands around the exchange: simulated buyers, an
// affiliate tracker and sellers' traffic. Each speaks only the public wire
// formats, keeps receipts of what it saw, and can be asked for them, so that
// Reconcile can prove that everyone's books agree.
//
// It never imports a room of the house but the vocabulary: what it proves, it
// proves from outside. Every actor takes a net.Listener or a dial function, so
// that the same actors serve real sockets and a simulation in memory.
package world

package engine

import (
	"testing"
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// Posts without a live quote are bounded per seller, for each is an event on
// disk; one seller's loop takes nothing from another.
func TestStrayPostsAreBounded(t *testing.T) {
	snap := &Snapshot{strays: map[exchange.SellerID]*book.Rate{"a": new(book.Rate), "b": new(book.Rate)}}
	now := time.Unix(1_000_000, 0)
	post := func(seller exchange.SellerID, at time.Time) bool {
		return !(&Engine{began: now}).strayed(&PostRequest{Snap: snap, Seller: &exchange.Seller{ID: seller}, Arrival: at})
	}
	admitted := 0
	for range 3 * straysPerSecond {
		if post("a", now) {
			admitted++
		}
	}
	if admitted != straysPerSecond {
		t.Errorf("%d of one instant were admitted, want %d", admitted, straysPerSecond)
	}
	if !post("b", now) {
		t.Error("another seller's post was turned away")
	}
	if !post("a", now.Add(time.Second)) {
		t.Error("a second later the seller's post was still turned away")
	}
}

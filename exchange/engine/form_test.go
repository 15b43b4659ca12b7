package engine

import (
	"bytes"
	"context"
	"testing"

	"vendue/exchange/book"
)

// A snapshot of another version's rules is left alone: the book is the journal's, from its start.
func TestASnapshotOfAnotherFormIsMadeAnew(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s\nbuyer a\ncontract c1 buyer=a bid=20 cap=total/leads/9\ntier auction c1")
	e, d := audited(t, w)
	e.Direct(directOf(e, "one", ""))
	if err := e.saveSnapshot(); err != nil {
		t.Fatal(err)
	}
	e.Direct(directOf(e, "two", ""))
	after := d.crash()
	after.saved = bytes.Replace(bytes.Replace(d.saved, []byte(`"form":1`), []byte(`"form":9`), 1), []byte(`"committed":1`), []byte(`"committed":7`), 1)
	after.savedSeq = d.savedSeq
	if bytes.Equal(after.saved, d.saved) {
		t.Fatal("the snapshot has no form")
	}
	again, err := openEngine(t, after, w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := book.New()
	if err := Replay(after, want); err != nil {
		t.Fatal(err)
	}
	if _, committed := again.book.Taken("contract/c1/total/leads"); committed != 2 || !bytes.Equal(again.book.Snapshot(), want.Snapshot()) {
		t.Errorf("%d committed; got %s, want %s", committed, again.book.Snapshot(), want.Snapshot())
	}
	if err := again.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

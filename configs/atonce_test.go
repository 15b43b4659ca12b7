package configs

import "testing"

func TestPostsAtOnce(t *testing.T) {
	if got := mustLoad(t, with(t, "/post\"", "/post\", at_once: 4")).Market.ByName["acme-west"].PostsAtOnce; got != 4 {
		t.Errorf("got %d, want 4", got)
	}
	if got := mustLoad(t, least(t)).Market.ByName["acme-west"].PostsAtOnce; got != 0 {
		t.Errorf("got %d where nothing is said, want 0: no bound", got)
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/rs/zerolog"

	"vendue/cmd/app"
	"vendue/store"
)

// openJournal opens a data directory for reading. While a daemon holds it, the
// client that reaches the daemon is returned in its stead.
func openJournal(dir string) (*store.Store, *http.Client, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, wanting{fmt.Errorf("cannot open the data directory: %w", err)}
	}
	s, err := store.OpenReadOnly(store.Config{Dir: dir, Log: zerolog.Nop()})
	if errors.Is(err, store.ErrLocked) {
		return nil, app.SocketClient(dir), nil
	}
	if err != nil {
		return nil, nil, wanting{err}
	}
	return s, nil, nil
}

// askDaemon copies the daemon's answer to w.
func askDaemon(client *http.Client, path string, query url.Values, w io.Writer) error {
	resp, err := client.Get("http://vendue" + path + "?" + query.Encode())
	if err != nil {
		return wanting{fmt.Errorf("a daemon holds the data directory, but does not answer on its socket: %w", err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return wanting{fmt.Errorf("the daemon answered %s: %s", strconv.Itoa(resp.StatusCode), text)}
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

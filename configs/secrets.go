package configs

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"

	"vendue/exchange"
)

const secretBytesMax = 4096

// key gives whoever holds the key of a hash their place in the market.
func (l *loader) key(n *node, owner string, p exchange.Principal) {
	s, ok := l.text(n)
	if !ok {
		return
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		l.fault(n.pos, "expected a SHA-256 as 64 hexadecimal digits; make a key with: vendue key new")
		return
	}
	sum := [32]byte(raw)
	if other, taken := l.keys[sum]; taken {
		l.fault(n.pos, "the same key belongs to %s; expected a key of its own", other)
		return
	}
	l.keys[sum] = owner
	l.market.Keys[sum] = p
}

// secret follows a reference: env:NAME or file:PATH. Standard Webhooks' own
// spelling whsec_BASE64 gives its bytes, anything else is taken as it is. No
// fault repeats what was found.
func (l *loader) secret(n *node) []byte {
	s, ok := l.text(n)
	if !ok {
		return nil
	}
	var value string
	if name, env := strings.CutPrefix(n.written, "env:"); env && envName(name) {
		if value, ok = l.getenv(name); !ok {
			l.fault(n.pos, "the environment has no %s", name)
			return nil
		}
	} else if path, file := strings.CutPrefix(s, "file:"); file && path != "" {
		if value, ok = readSecret(l.path(path)); !ok {
			l.fault(n.pos, "cannot read the secret's file; expected one of at most %d bytes", secretBytesMax)
			return nil
		}
	} else {
		l.fault(n.pos, "expected a reference: env:NAME or file:PATH; a secret does not stand in the config")
		return nil
	}
	value = strings.TrimSpace(value)
	coded, webhook := strings.CutPrefix(value, "whsec_")
	if !webhook && value != "" {
		return []byte(value)
	}
	raw, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || len(raw) == 0 {
		l.fault(n.pos, "expected the secret to be some text, or whsec_ and base64")
		return nil
	}
	return raw
}

func readSecret(path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > secretBytesMax {
		return "", false
	}
	text, err := os.ReadFile(path)
	return string(text), err == nil
}

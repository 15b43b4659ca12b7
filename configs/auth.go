package configs

import (
	"encoding/base64"
	"strings"

	"vendue/bidder"
	"vendue/bidder/adapters/dialect"
)

// auth reads how a contract's requests prove who sends them: a constant header
// as a line for every phase, anything else for the bidder.
func (l *loader) auth(n *node) (line *dialect.Header, auth *bidder.Auth) {
	if n == nil {
		return nil, nil
	}
	t := l.table(n, "bearer", "basic", "digest", "oauth2", "hmac")
	if n.shape == shapeTable && len(n.entries) != 1 {
		l.fault(n.pos, "expected one of bearer, basic, digest, oauth2 and hmac")
		return nil, nil
	}
	header := func(value string) *dialect.Header {
		// A brace in a credential is no place.
		return &dialect.Header{Name: "Authorization", Value: dialect.Text{At: at(n.pos), Text: strings.ReplaceAll(value, "{", "{{")}}
	}
	switch {
	case t.opt("bearer") != nil:
		return header("Bearer " + l.credential(t.opt("bearer"))), nil
	case t.opt("basic") != nil:
		user, password := l.login(t.opt("basic"))
		coded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		l.cfg.Bidder.Secrets = append(l.cfg.Bidder.Secrets, coded)
		return header("Basic " + coded), nil
	case t.opt("digest") != nil:
		user, password := l.login(t.opt("digest"))
		return nil, &bidder.Auth{Digest: &bidder.DigestAuth{User: user, Password: password}}
	case t.opt("oauth2") != nil:
		o := l.table(t.opt("oauth2"), "token_url", "client_id", "client_secret", "scope")
		out := &bidder.OAuth2Auth{TokenURL: l.url(o.need("token_url")), ClientSecret: l.credential(o.need("client_secret"))}
		out.ClientID, _ = l.text(o.need("client_id"))
		out.Scope, _ = l.text(o.opt("scope"))
		return nil, &bidder.Auth{OAuth2: out}
	case t.opt("hmac") != nil:
		return nil, &bidder.Auth{HMAC: l.hmac(t.opt("hmac"))}
	}
	return nil, nil
}

// credential follows a secret's reference. A line's end in it would break the request.
func (l *loader) credential(n *node) string {
	value := string(l.secret(n))
	if n != nil && strings.ContainsAny(value, "\r\n\x00") {
		l.fault(n.pos, "expected a credential of one line")
	}
	l.cfg.Bidder.Secrets = append(l.cfg.Bidder.Secrets, value)
	return value
}

func (l *loader) login(n *node) (user, password string) {
	t := l.table(n, "user", "password")
	user, _ = l.text(t.need("user"))
	if strings.Contains(user, ":") {
		l.fault(t.opt("user").pos, "expected a user without a colon")
	}
	return user, l.credential(t.need("password"))
}

func (l *loader) hmac(n *node) *bidder.HMACAuth {
	t := l.table(n, "secret", "header", "time_header", "over", "hash", "encoding", "prefix")
	hashes := []string{"sha256", "sha1", "sha512"}
	out := &bidder.HMACAuth{Secret: []byte(l.credential(t.need("secret"))), Over: l.words(t.opt("over"))}
	if len(out.Over) == 0 {
		out.Over = []string{"body"}
	}
	out.Hash = hashes[l.word(t.opt("hash"), 0, hashes...)]
	out.Base64 = l.word(t.opt("encoding"), 0, "hex", "base64") == 1
	out.Prefix, _ = l.text(t.opt("prefix"))
	for _, h := range []struct {
		n  *node
		to *string
	}{{t.need("header"), &out.Header}, {t.opt("time_header"), &out.TimeHeader}} {
		name, ok := l.text(h.n)
		if ok && (!token(name) || ours(strings.ToLower(name))) {
			l.fault(h.n.pos, "expected the name of a header that the house does not set itself")
		}
		*h.to = name
	}
	if !headerValue(out.Prefix) {
		l.fault(t.opt("prefix").pos, "expected printable ASCII")
	}
	return out
}

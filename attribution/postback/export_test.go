package postback

import "net/netip"

// TryGet makes one request under the given egress prefixes.
func TryGet(allow []string, url string) (status int, fault string) {
	c := newClient(nil)
	defer c.close()
	var cfg Config
	for _, p := range allow {
		cfg.EgressAllow = append(cfg.EgressAllow, netip.MustParsePrefix(p))
	}
	c.use(cfg)
	r, err := c.send(&request{url: []byte(url)})
	return r.status, faultOf(err)
}

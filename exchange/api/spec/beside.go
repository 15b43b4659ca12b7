package spec

// besideRow is one thing that a request may say beside the lead.
type besideRow struct{ Name, In, Meaning string }

// beside lists what a request may say beside the lead. consent tells that the campaign takes no lead without one.
func beside(consent bool) []besideRow {
	agreed := "what the consumer agreed to, when and where; captured_at as in 2026-01-31T12:00:00Z. In a form without consent."
	if consent {
		agreed = "required, at least one of them: " + agreed
	}
	return []besideRow{
		{"campaign", "ping, direct", "required: the name at the top of this page"},
		{"ping_id", "post", "required: as the ping's answer had it"},
		{"bid_ids", "post", "the bids you take; all of them if you leave it out. In a form, commas between"},
		{"Idempotency-Key", "post, direct", "a header, or idempotency_key in the body: your own word for this post, at most 255 bytes; the same again gets the same answer for 24 hours"},
		{"ref", "ping, direct", "your own id of the lead, at most 255 bytes; a ping repeated while its price stands gets the same answer"},
		{"min_price", "ping, direct", "the least that you would take, such as 8.50"},
		{"max_wait_ms", "ping, direct", "the longest that you would wait; never more than the campaign's own time"},
		{"sale", "ping, direct", "exclusive (to one buyer), shared (to several) or any, which is what it is if you leave it out"},
		{"max_legs", "ping, direct", "the most buyers of a shared lead, 1 to 64"},
		{"test", "ping, direct", "true for a test"},
		{"source.affiliate, .offer, .click_id, .coupon, .sub1 to .sub5", "ping, direct", "who brought the consumer, each at most 255 bytes. In a form without source."},
		{"consent.captured_at, .page_url, .text_sha256, .trustedform_ping_url, .trustedform_cert_url, .jornaya_id", "ping, post, direct", agreed},
		{"consent.named_buyers", "ping, post, direct", "the buyers whom the consumer agreed to, by name: nobody else gets the lead"},
	}
}

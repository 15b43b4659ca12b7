package exchange

// Reason says why something was not sold. It is data: journaled, answered and
// a metric label. The list is closed; API.md fixes the words.
type Reason uint8

// The reasons.
const (
	ReasonNone Reason = iota

	// Of a request.
	ReasonAuth
	ReasonInvalidField
	ReasonMissingField
	ReasonRateLimited
	ReasonDraining
	ReasonJournalUnavailable
	ReasonOverloaded

	// Of a lead.
	ReasonNoBid
	ReasonBelowFloor
	ReasonNoEligibleContract
	ReasonDuplicate
	ReasonCapSeller
	ReasonCapCampaign
	ReasonConsentMissing
	ReasonSuppressed
	ReasonTimeout
	ReasonPostRejected
	ReasonUnknown
	ReasonPingExpired
	ReasonPingUnknown
	ReasonPingUsed
	ReasonNoTime

	// Of a contract, beside those it shares with a lead.
	ReasonFiltered
	ReasonHours
	ReasonPaused
	ReasonCapContract
	ReasonCapBuyer
	ReasonBudget
	ReasonBalance
	ReasonConcurrency
	ReasonPacing
	ReasonBreaker
	ReasonThrottled
	ReasonSaleType
	ReasonNotNamed
	ReasonBuyerError
	ReasonOutbid
	ReasonTest
	ReasonPingLimit // last, for numbers stand in files

	ReasonCount // how many there are; not a reason
)

var reasonWords = [ReasonCount]string{
	ReasonNone:               "",
	ReasonAuth:               "auth",
	ReasonInvalidField:       "invalid_field",
	ReasonMissingField:       "missing_field",
	ReasonRateLimited:        "rate_limited",
	ReasonDraining:           "draining",
	ReasonJournalUnavailable: "journal_unavailable",
	ReasonOverloaded:         "overloaded",
	ReasonNoBid:              "no_bid",
	ReasonBelowFloor:         "below_floor",
	ReasonNoEligibleContract: "no_eligible_contract",
	ReasonDuplicate:          "duplicate",
	ReasonCapSeller:          "cap_seller",
	ReasonCapCampaign:        "cap_campaign",
	ReasonConsentMissing:     "consent_missing",
	ReasonSuppressed:         "suppressed",
	ReasonTimeout:            "timeout",
	ReasonPostRejected:       "post_rejected",
	ReasonUnknown:            "unknown",
	ReasonPingExpired:        "ping_expired",
	ReasonPingUnknown:        "ping_unknown",
	ReasonPingUsed:           "ping_used",
	ReasonNoTime:             "no_time",
	ReasonFiltered:           "filtered",
	ReasonHours:              "hours",
	ReasonPaused:             "paused",
	ReasonCapContract:        "cap_contract",
	ReasonCapBuyer:           "cap_buyer",
	ReasonBudget:             "budget",
	ReasonBalance:            "balance",
	ReasonConcurrency:        "concurrency",
	ReasonPacing:             "pacing",
	ReasonBreaker:            "breaker",
	ReasonThrottled:          "throttled",
	ReasonSaleType:           "sale_type",
	ReasonNotNamed:           "not_named",
	ReasonBuyerError:         "buyer_error",
	ReasonOutbid:             "outbid",
	ReasonTest:               "test",
	ReasonPingLimit:          "ping_limit",
}

// String returns the word of API.md, empty for ReasonNone.
func (r Reason) String() string {
	if r >= ReasonCount {
		return "invalid"
	}
	return reasonWords[r]
}

// MarshalText returns the word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Outcome is how one attempt to post a lead ended.
type Outcome uint8

// The outcomes. DESIGN.md's table says what is seen for each.
const (
	OutcomeNone         Outcome = iota
	OutcomeAccepted             // sold: the cap is committed
	OutcomeRejected             // a readable no: the cap is released
	OutcomeNotDelivered         // the buyer cannot have the lead: the cap is released
	OutcomeUnknown              // the buyer may have the lead: the cap stays held
)

var outcomeWords = [...]string{"", "accepted", "rejected", "not_delivered", "unknown"}

// String returns the outcome's word.
func (o Outcome) String() string {
	if int(o) >= len(outcomeWords) {
		return "invalid"
	}
	return outcomeWords[o]
}

// MarshalText returns the word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Package attribution pays affiliates: it reads the journal and turns sold
// legs into credits, commissions, ledger entries and postbacks, and pending
// leads' ends into sellers' webhooks.
//
// It owns its keyspace: terms, clicks, open leads, sales, the ledger, the
// cursor, and (in postback) the jobs. All that one batch of events leads to,
// and the cursor, stand in one atomic write, so a crash repeats nothing and
// loses nothing. Credits and ledger are a function of the journal alone:
// neither config nor clock decides them.
//
// It never touches the exchange's state, never stops or delays a sale, and
// knows nothing of auctions but their events. DESIGN.md says what was decided.
package attribution

// Package postback tells affiliates' trackers what they earned, and sellers'
// webhooks how their pending leads ended: templates, durable jobs, delivery, retries,
// what an answer means, and the replay of what died.
//
// It owns the template language, the jobs in attribution's keyspace (keys that
// begin with P), the schedule, and the one HTTP client that speaks to
// trackers and webhooks. A job is delivered at least once under one constant id, or stands
// visibly among the dead or the not sent.
//
// It never decides who earned what, never reads the journal, never follows a
// redirect, never connects to a private address that the config did not
// allow, and never logs more of a URL than its host.
package postback

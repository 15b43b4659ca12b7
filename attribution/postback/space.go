package postback

// Space is attribution's own keyspace. It is safe for concurrent use.
type Space interface {
	// Get returns a copy of the value of key, and false if there is none.
	Get(key []byte) (value []byte, ok bool, err error)
	// Scan calls fn for each key from lo up to but not including hi, in order,
	// until fn returns false or fails. k and v are valid during the call only.
	Scan(lo, hi []byte, fn func(k, v []byte) (more bool, err error)) error
	// Commit applies what fn put into the batch: all of it or nothing. With
	// sync it returns when that is on disk; without, a crash may lose it whole,
	// but never while something committed later is kept.
	Commit(sync bool, fn func(b Batch)) error
}

// Batch gathers writes. It keeps neither slice it is given.
type Batch interface {
	Set(key, value []byte)
	Delete(key []byte)
	// DeleteRange removes the keys from lo up to, not including, hi.
	DeleteRange(lo, hi []byte)
}

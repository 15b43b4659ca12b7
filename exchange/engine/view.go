package engine

// Used returns how much of a cap is taken in the window that starts at the Unix second window: pingtree.CapsView.
func (e *Engine) Used(handle int, window int64) int64 { return e.book.Used(handle, window) }

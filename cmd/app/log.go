package app

import (
	"bufio"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// logBufferBytes is what one write to the log holds at most. From 128 KiB on the kernel looks for fresh memory in
	// large pieces: 1.3 us a line instead of 0.15, where memory was not yet touched.
	logBufferBytes = 64 << 10
	logFlushEvery  = 200 * time.Millisecond
)

// logWriter gathers log lines and writes them out several times a second: a
// system call per auction would be a tenth of its cost. A crash of the process
// loses the last lines of the log, never an event of the journal.
type logWriter struct {
	mu   sync.Mutex
	buf  *bufio.Writer
	stop chan struct{}
	done chan struct{}
}

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{buf: bufio.NewWriterSize(w, logBufferBytes), stop: make(chan struct{}), done: make(chan struct{})}
	go l.flush()
	return l
}

// Write takes one line.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(line)
}

// WriteLevel takes one line; warnings and errors are written out at once.
func (l *logWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.buf.Write(line)
	if err == nil && level >= zerolog.WarnLevel {
		err = l.buf.Flush()
	}
	return n, err
}

func (l *logWriter) flush() {
	defer close(l.done)
	tick := time.NewTicker(logFlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.mu.Lock()
			_ = l.buf.Flush() // a log that cannot be written must not stop sales
			l.mu.Unlock()
		}
	}
}

// Close writes out what is left.
func (l *logWriter) Close() error {
	close(l.stop)
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Flush()
}

func newLog(w io.Writer, level string) zerolog.Logger {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		parsed = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(parsed).With().Timestamp().Logger()
}

package faults

import (
	"io"
	"time"
)

// lateBody is a body of which each part is read some time after it has come.
type lateBody struct {
	io.Closer
	parts <-chan part
	rest  []byte
	err   error
}

type part struct {
	due     time.Time
	content []byte
	err     error
}

// late returns a body that is read with a delay.
func late(body io.ReadCloser, delay time.Duration) io.ReadCloser {
	parts := make(chan part, 1<<16)
	go func() {
		defer close(parts)
		for {
			buffer := make([]byte, 32<<10)
			n, err := body.Read(buffer)
			parts <- part{time.Now().Add(delay), buffer[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return &lateBody{Closer: body, parts: parts}
}

// Read reads what is due.
func (l *lateBody) Read(into []byte) (int, error) {
	if len(l.rest) == 0 && l.err == nil {
		next, more := <-l.parts
		if !more {
			return 0, io.EOF
		}
		time.Sleep(time.Until(next.due)) //nolint:forbidigo // The delay is what is tried.
		l.rest, l.err = next.content, next.err
	}
	n := copy(into, l.rest)
	l.rest = l.rest[n:]
	if len(l.rest) == 0 {
		return n, l.err
	}
	return n, nil
}

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	readyPollInterval = 25 * time.Millisecond
	reportedLogLines  = 20
	reportedLogBytes  = 64 << 10
)

// WaitReady asks ready until it returns nil. When the process ends first, or ctx does, the
// error says so in a sentence, with ready's last answer, the log's path and its last lines. It
// leaves the process as it is.
func (p *Process) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	polling, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-p.exited:
			stop()
		case <-polling.Done():
		}
	}()

	var answer error
	err := wait.PollUntilContextCancel(polling, readyPollInterval, true, func(ctx context.Context) (bool, error) {
		// An answer that the end of waiting cut short says nothing about the process.
		if current := ready(ctx); ctx.Err() == nil {
			answer = current
		}
		return answer == nil && ctx.Err() == nil, nil
	})
	switch {
	case err == nil:
		return nil
	case !p.Alive():
		return p.Failure(errors.New("ended before it was ready" + p.exitState()))
	case answer == nil:
		return p.Failure(errors.New("was not ready in time"))
	default:
		return p.Failure(fmt.Errorf("was not ready in time: %w", answer))
	}
}

// Answering returns what WaitReady can ask of a process that serves HTTP: it returns nil once a URL answers 200.
func Answering(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// Failure returns an error that says what went wrong with the process, with the log's path and its last lines. The
// cause continues the sentence that begins with the process's name, for example "ended before it was ready".
func (p *Process) Failure(cause error) error {
	lines, err := p.LogTail(reportedLogLines)
	switch {
	case err != nil:
		return fmt.Errorf("%s %w; its log can't be read: %w", p.Name(), cause, err)
	case lines == "":
		return fmt.Errorf("%s %w; its log %s is empty", p.Name(), cause, p.LogPath())
	default:
		return fmt.Errorf("%s %w; its log %s ends with:\n%s", p.Name(), cause, p.LogPath(), lines)
	}
}

// LogTail returns up to the given number of last lines that the process wrote to its log. What
// an earlier process left in the same file is not among them.
func (p *Process) LogTail(lines int) (string, error) {
	log, err := os.Open(p.LogPath())
	if err != nil {
		return "", err
	}
	defer log.Close()
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	start := max(p.record.LogStart, size-reportedLogBytes)
	content, err := io.ReadAll(io.NewSectionReader(log, start, size-start))
	if err != nil {
		return "", err
	}
	all := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))), nil
}

// exitState is known only of a process that this program started.
func (p *Process) exitState() string {
	if p.state == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", p.state)
}

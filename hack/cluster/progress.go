package cluster

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	reportInterval     = 10 * time.Second
	reportedComplaints = 20
)

// packageCounter reads the output of go build -v, one line a package, and reports the progress.
type packageCounter struct {
	kubernetes string
	total      int
	started    time.Time

	mu     sync.Mutex
	output strings.Builder
}

func (c *packageCounter) Write(output []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output.Write(output)
}

// report writes a line at once and every few seconds until the returned function is called.
func (c *packageCounter) report(progress io.Writer) (stop func()) {
	fmt.Fprintf(progress, "Building Kubernetes %s, packages to compile: %d\n", c.kubernetes, c.total)
	done := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		tick := time.NewTicker(reportInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(progress, "Building Kubernetes %s, packages compiled: %d of %d, %s\n",
					c.kubernetes, c.compiled(), c.total, c.elapsed())
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		reporter.Wait()
	}
}

func (c *packageCounter) compiled() int {
	packages, _ := c.lines()
	return min(c.total, len(packages))
}

func (c *packageCounter) elapsed() time.Duration {
	return time.Since(c.started).Round(time.Second)
}

// complaints returns the last lines of go build's output that are not packages: the reason, if it failed.
func (c *packageCounter) complaints() string {
	_, complaints := c.lines()
	return strings.Join(complaints[max(0, len(complaints)-reportedComplaints):], "")
}

func (c *packageCounter) lines() (packages, complaints []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(c.output.String()) {
		if strings.Contains(line, " ") {
			complaints = append(complaints, line)
		} else {
			packages = append(packages, line)
		}
	}
	return packages, complaints
}

// Package prometheus runs Debian's Prometheus as a local process, and its promtool.
//
//	server, err := prometheus.Start(ctx, prometheus.Options{Dir: dir, Config: config, Progress: os.Stderr})
//	…
//	alerts, err := server.Firing(ctx)
//	…
//	err = server.Stop()
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	readyTimeout = time.Minute
	stopGrace    = 10 * time.Second
)

// Programs returns the paths of prometheus and promtool: those in PATH, or else Debian's, which it unpacks into a
// folder.
func Programs(ctx context.Context, folder string, progress io.Writer) (server, tool string, err error) {
	server, err = exec.LookPath("prometheus")
	if err == nil {
		if tool, err = exec.LookPath("promtool"); err == nil {
			return server, tool, nil
		}
	}
	if err := apt.Unpack(ctx, progress, folder, "prometheus"); err != nil {
		return "", "", err
	}
	bin := filepath.Join(folder, "usr", "bin")
	return filepath.Join(bin, "prometheus"), filepath.Join(bin, "promtool"), nil
}

// Options says which Prometheus to start.
type Options struct {
	// Program is the path of prometheus, as returned by Programs. Required.
	Program string
	// Dir is the folder for its data, configuration and log. Required.
	Dir string
	// Config is its configuration. Paths of rule files are relative to Dir. Required.
	Config string
}

// Server is a Prometheus that was started.
type Server struct {
	*process.Process
	// URL is its base URL.
	URL string
	v1.API
}

// Start starts a Prometheus and returns once it is ready.
func Start(ctx context.Context, options Options) (*Server, error) {
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(options.Dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(options.Config), 0o600); err != nil {
		return nil, err
	}
	ports, err := freeport.Find(1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	started, err := process.Start(process.Command{
		Name: "prometheus",
		Path: options.Program,
		Args: []string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(options.Dir, "data"),
			"--web.listen-address=" + address,
			// Debian's package has them elsewhere, and nobody looks at pages here.
			"--web.console.libraries=" + options.Dir, "--web.console.templates=" + options.Dir,
		},
		LogPath:           filepath.Join(options.Dir, "prometheus.log"),
		ParentDeathSignal: syscall.SIGKILL,
	})
	if err != nil {
		return nil, err
	}
	server := &Server{Process: started, URL: "http://" + address}
	client, err := api.NewClient(api.Config{Address: server.URL})
	if err == nil {
		server.API = v1.NewAPI(client)
		err = server.waitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.WaitReady(ctx, process.Answering(http.DefaultClient, s.URL+"/-/ready"))
}

// Firing returns the labels of the alerts that fire.
func (s *Server) Firing(ctx context.Context) ([]model.LabelSet, error) {
	found, err := s.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	var firing []model.LabelSet
	for _, alert := range found.Alerts {
		if alert.State == v1.AlertStateFiring {
			firing = append(firing, alert.Labels)
		}
	}
	return firing, nil
}

// Value returns the samples that a query has now.
func (s *Server) Value(ctx context.Context, query string) (model.Vector, error) {
	value, _, err := s.Query(ctx, query, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s has a %s", query, value.Type())
	}
	return vector, nil
}

// Stop stops Prometheus and returns once it has exited.
func (s *Server) Stop() error { return s.Process.Stop(stopGrace) }

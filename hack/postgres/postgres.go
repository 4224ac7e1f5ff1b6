// Package postgres runs a real PostgreSQL server for tests, the demo and the benchmark: on a free
// loopback port, never as root, and tuned for data that nobody would miss.
//
//	server, err := postgres.Start(ctx, postgres.Options{Dir: dir})
//	…
//	err = server.Remove()
//
// What Start needs is PostgreSQL 14 or newer on PATH, where Debian installs it, or in the folder that the
// environment variable TENANTRY_POSTGRES_BIN names. When it is
// missing, root gets it installed by apt-get, and everybody else a sentence that says what to do.
//
// Another program stops the server by its folder:
//
//	server, err := postgres.Load(dir)
//	…
//	err = server.Remove()
package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/hack/process"
)

const (
	recordFile     = "postgres.json"
	descriptorFile = "server.json"
	logFile        = "postgres.log"

	readyTimeout = time.Minute
	stopGrace    = 30 * time.Second
)

// Options says where a server has its files and how long it runs.
type Options struct {
	// Dir is the folder of the server, made when it isn't there. A server that was stopped in it
	// is started again with its data, port and password. Required.
	//
	// The log and what Load needs are in Dir. So is the data, unless the server's user can't get
	// there because a folder above is closed to it, as /root is; then it is in the machine's
	// folder for temporary files.
	Dir string
	// EndWithStarter stops the server when the program that started it ends, however it ends.
	// Without it the server stays until Stop, Kill or Remove.
	EndWithStarter bool
	// BinDir is the folder that has postgres and initdb; empty means those of
	// BinDirVariable, PATH or Debian. A
	// server that was stopped keeps what it was started with.
	BinDir string
	// Inside, if set, is a process whose network the server listens in, on all of its addresses. A server that was
	// started like that can be started again only by Restart of the same Server.
	Inside *process.Process
	// Port is the port of a new server; zero means any that is free.
	Port int
	// Progress gets a line for each step that takes long; nil means no output.
	Progress io.Writer
}

// Server is a PostgreSQL server that Start started or Load found. Its methods must not be called
// concurrently.
type Server struct {
	descriptor
	dir            string
	endWithStarter bool
	inside         *process.Process
	process        *process.Process
}

// descriptor is stored in the server's folder, for other programs and later starts.
type descriptor struct {
	// Host is the loopback address that the server listens on.
	Host string `json:"host"`
	// Port is its TCP port. It stays the same when the server is started again.
	Port int `json:"port"`
	// Username is the superuser.
	Username string `json:"username"`
	// Password is the superuser's password.
	Password string `json:"password"`

	DataDir string `json:"dataDir"`
	BinDir  string `json:"binDir"`
}

// Start returns a server that takes connections. When it doesn't come up within a minute, the
// error has the last lines of its log, and nothing is left running.
func Start(ctx context.Context, options Options) (*Server, error) {
	progress := options.Progress
	if progress == nil {
		progress = io.Discard
	}
	server, err := Load(options.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if server, err = create(ctx, options, progress); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	server.endWithStarter, server.inside = options.EndWithStarter, options.Inside
	return server, server.Restart(ctx)
}

// Load returns the server of a folder, whether it runs or not. The error wraps fs.ErrNotExist
// when there never was one.
func Load(dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, descriptorFile))
	if err != nil {
		return nil, fmt.Errorf("there is no PostgreSQL server in %s: %w", dir, err)
	}
	server := &Server{dir: dir}
	if err := json.Unmarshal(content, &server.descriptor); err != nil {
		return nil, fmt.Errorf("%s does not describe a PostgreSQL server; delete its folder: %w", filepath.Join(dir, descriptorFile), err)
	}
	server.process, err = process.Load(server.recordPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return server, nil
}

// Restart starts the server again after Stop or Kill, on the same port and data, and returns once it takes
// connections. It does nothing if the server runs.
func (s *Server) Restart(ctx context.Context) error {
	if !s.Running() {
		credential, err := serverCredential()
		if err != nil {
			return err
		}
		command := process.Command{
			Name:       "postgres",
			Path:       filepath.Join(s.BinDir, "postgres"),
			Args:       []string{"-D", s.DataDir, "-p", strconv.Itoa(s.Port)},
			Dir:        s.DataDir,
			LogPath:    s.LogPath(),
			RecordPath: s.recordPath(),
			Credential: credential,
			StopSignal: syscall.SIGINT, // the fast shutdown, which does not wait for sessions to end
			Inside:     s.inside,
		}
		if s.endWithStarter {
			command.ParentDeathSignal = syscall.SIGINT
		}
		if s.process, err = process.Start(command); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.process.WaitReady(ctx, s.connect); err != nil {
		return errors.Join(err, s.process.Kill())
	}
	return nil
}

// Stop shuts the server down and ends its sessions. The data stays.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.Stop(stopGrace)
}

// Kill ends the server at once, as a crash would: the next start recovers from the log of
// transactions. Unlike SIGKILL it leaves no process behind that the next start would have to
// wait for.
func (s *Server) Kill() error {
	if !s.Running() {
		return nil
	}
	if err := s.process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("can't kill postgres (process %d): %w", s.process.PID(), err)
	}
	return s.process.Stop(stopGrace)
}

// Remove stops the server and deletes its data and its folder.
func (s *Server) Remove() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.DataDir), os.RemoveAll(s.dir))
}

// Running reports whether the server's process is there.
func (s *Server) Running() bool { return s.process != nil && s.process.Alive() }

// Process returns the server's first process, of which all others are children; nil when the server has not
// been started.
func (s *Server) Process() *process.Process { return s.process }

// LogPath returns the file that the server logs to.
func (s *Server) LogPath() string { return filepath.Join(s.dir, logFile) }

// URL returns the URI by which the superuser connects to a database of the server.
func (s *Server) URL(database string) string {
	uri := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(s.Username, s.Password),
		Host:   s.Host + ":" + strconv.Itoa(s.Port),
		Path:   database,
	}
	return uri.String() + "?sslmode=disable"
}

func (s *Server) recordPath() string { return filepath.Join(s.dir, recordFile) }

func (s *Server) connect(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

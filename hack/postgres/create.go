package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/tenantry/tenantry/hack/freeport"
)

const (
	superuser = "admin"
	loopback  = "127.0.0.1"
)

// settings are for a server whose data may be lost if the machine crashes, and that must accept the sessions of
// many tenants at the same time. Without fsync a commit costs next to nothing, so synchronous_commit stays on:
// what was committed survives Kill.
const settings = `
listen_addresses = '` + loopback + `'
unix_socket_directories = ''
max_connections = 300
fsync = off
full_page_writes = off
`

// statementSettings are for servers with the extension pg_stat_statements. Each tenant causes a dozen different
// statements, and none may be evicted.
const statementSettings = `
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.max = 50000
`

// reachableSettings and reachableRule are for servers in a network that nothing leads into but its own nodes and pods.
const (
	reachableSettings = "listen_addresses = '*'\n"
	reachableRule     = "host all all 10.0.0.0/8 scram-sha-256\n" //nolint:dupword // The database, and the user.
)

// create makes the files of a new server.
func create(ctx context.Context, options Options, progress io.Writer) (*Server, error) {
	binDir := options.BinDir
	if binDir == "" {
		var err error
		if binDir, err = findBinaries(ctx, progress); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("can't make the folder of PostgreSQL: %w", err)
	}
	credential, err := serverCredential()
	if err != nil {
		return nil, err
	}
	dataDir, err := makeDataDir(dir, credential)
	if err != nil {
		return nil, err
	}
	port := options.Port
	if port == 0 {
		ports, err := freeport.Find(1)
		if err != nil {
			return nil, err
		}
		port = ports[0]
	}
	server := &Server{dir: dir, descriptor: descriptor{
		Host: loopback, Port: port, Username: superuser, Password: rand.Text(), DataDir: dataDir, BinDir: binDir,
	}}
	if err := server.initialize(ctx, credential, options.Inside != nil); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dataDir))
	}
	return server, server.writeDescriptor()
}

// initialize runs initdb and adds the settings.
func (s *Server) initialize(ctx context.Context, credential *syscall.Credential, reachable bool) error {
	passwordFile := s.DataDir + ".password"
	if err := os.WriteFile(passwordFile, []byte(s.Password), 0o600); err != nil {
		return fmt.Errorf("can't hand the superuser's password to initdb: %w", err)
	}
	defer os.Remove(passwordFile)
	if err := give(passwordFile, credential); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.BinDir, "initdb"),
		"--pgdata="+s.DataDir, "--username="+s.Username, "--pwfile="+passwordFile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir = s.DataDir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed: %w; it said:\n%s", err, output)
	}

	content := settings
	if hasStatementStatistics(s.BinDir) {
		content += statementSettings
	}
	if reachable {
		content += reachableSettings
		if err := appendTo(filepath.Join(s.DataDir, "pg_hba.conf"), reachableRule); err != nil {
			return err
		}
	}
	return appendTo(filepath.Join(s.DataDir, "postgresql.conf"), content)
}

func appendTo(path, content string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("can't configure PostgreSQL: %w", err)
	}
	_, err = file.WriteString(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("can't configure PostgreSQL: %w", err)
	}
	return nil
}

func (s *Server) writeDescriptor() error {
	content, err := json.MarshalIndent(s.descriptor, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, descriptorFile), content, 0o600)
}

// serverCredential returns the user that the server runs as: nil for the current user. PostgreSQL refuses to run
// as root, so for root it is postgres or nobody.
func serverCredential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is what process.Command wants for the own user
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is neither a user postgres nor nobody; add one of them, or run as another user: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has no numeric id: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has no numeric group: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// makeDataDir creates an empty folder that the server's user owns and can reach: in dir, or else in the machine's
// folder for temporary files.
func makeDataDir(dir string, credential *syscall.Credential) (string, error) {
	closed, err := closedFolder(dir, credential)
	if err != nil {
		return "", err
	}
	dataDir := filepath.Join(dir, "data")
	if closed == "" {
		// An interrupted initdb may have left an incomplete folder.
		err = errors.Join(os.RemoveAll(dataDir), os.Mkdir(dataDir, 0o700))
	} else {
		dataDir, err = makeTemporaryDataDir(credential)
	}
	if err != nil {
		return "", fmt.Errorf("can't make the folder for the data of PostgreSQL: %w", err)
	}
	return dataDir, give(dataDir, credential)
}

func makeTemporaryDataDir(credential *syscall.Credential) (string, error) {
	closed, err := closedFolder(os.TempDir(), credential)
	if err != nil {
		return "", err
	}
	if closed != "" {
		return "", fmt.Errorf("the user that PostgreSQL runs as (id %d) can't enter %s; set TMPDIR to a folder that is open to it", credential.Uid, closed)
	}
	return os.MkdirTemp("", "tenantry-postgres-")
}

// closedFolder returns the first folder on the way from the root to dir that the server's user
// may not enter; empty if it can enter all of them.
func closedFolder(dir string, credential *syscall.Credential) (string, error) {
	if credential == nil {
		return "", nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if closed, err := closedFolder(parent, credential); err != nil || closed != "" {
			return closed, err
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("can't tell who may enter the folder of PostgreSQL: %w", err)
	}
	search := os.FileMode(0o001)
	switch owner := info.Sys().(*syscall.Stat_t); {
	case owner.Uid == credential.Uid:
		search = 0o100
	case owner.Gid == credential.Gid:
		search = 0o010
	}
	if info.Mode()&search == 0 {
		return dir, nil
	}
	return "", nil
}

func give(path string, credential *syscall.Credential) error {
	if credential == nil {
		return nil
	}
	if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
		return fmt.Errorf("can't hand a file to the user that PostgreSQL runs as: %w", err)
	}
	return nil
}

package database

import (
	"fmt"
	"time"
)

// The errors below are pointers to structs, like those of package service; find them with errors.As. Their
// messages are sentences that say what to do.

// UnpreparedError means that the shared database of an isolation isn't ready yet. It is once the server has been
// probed.
type UnpreparedError struct {
	// Isolation is the isolation that was asked for.
	Isolation Isolation
}

func (e *UnpreparedError) Error() string {
	return fmt.Sprintf("the database server is not prepared for isolation %s yet; that happens while it is Ready and its spec.isolations has %s",
		e.Isolation, e.Isolation)
}

// LockedError means that another session holds a lock on what the operator wanted to read or change. Nothing was
// changed. Nothing is wrong with the server, and the error passes when that session's transaction ends.
type LockedError struct {
	// Server is the name of the DatabaseServer.
	Server string
	// Holder is the session that has the lock, or is the first to wait for it; nil if it ended before it could be
	// found.
	Holder *LockHolder
	// Err is the server's answer.
	Err error
}

// LockHolder is a session that others wait for.
type LockHolder struct {
	// PID is its process ID on the server.
	PID int32
	// Role is the login that opened it.
	Role string
	// Since is when its transaction began.
	Since time.Time
}

func (e *LockedError) Error() string {
	if e.Holder == nil {
		return fmt.Sprintf("a lock on database server %s was not to be had in time, and whoever had it is gone", e.Server)
	}
	return fmt.Sprintf("on database server %[1]s, role %[2]s has had a transaction open since %[3]s that locks what the operator has to change; end it in that app, or run SELECT pg_terminate_backend(%[4]d) there",
		e.Server, e.Holder.Role, e.Holder.Since.UTC().Format(time.RFC3339), e.Holder.PID)
}

func (e *LockedError) Unwrap() error { return e.Err }

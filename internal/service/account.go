package service

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Record is what is recorded of the credentials that a tenant uses. It has no password.
type Record struct {
	// Login is which of the two logins is the active one, 0 or 1; another number if that is not known.
	Login int
	// Revision is the [Revision] of its password.
	Revision string
	// RotatedAt is when the password was made; zero if that is not known.
	RotatedAt time.Time
	// Request is the [Rotation.Request] that the password came after.
	Request string
	// InGrace says that the former login was still enabled.
	InGrace bool
}

// Revision stands for a password. That has 190 random bits, so its hash tells nothing.
func Revision(password Sensitive) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:8])
}

// credentials returns the credentials in the record, as far as it has them.
func (r Record) credentials(rotation Rotation) Credentials {
	credentials := Credentials{Active: r.active(), RotatedAt: r.RotatedAt, Request: r.Request}
	if r.InGrace {
		// The grace period may have been changed since.
		credentials.FormerUntil = r.RotatedAt.Add(rotation.GracePeriod)
	}
	return credentials
}

// active returns the login to go by: the first if nothing is known.
func (r Record) active() int {
	if r.Login == 1 {
		return 1
	}
	return 0
}

// Account is how a tenant logs in to its server, as far as the operator knows.
type Account struct {
	// Rotation says when the password changes.
	Rotation Rotation
	// Credentials are the tenant's. While its Secret holds others than those that are recorded, they are the
	// recorded ones, without a password, and Unverified are the Secret's.
	Credentials Credentials
	// Unverified are nil if the Secret was believed.
	Unverified *Credentials
}

// Open returns the account of a tenant whose Secret holds the stored credentials. These are believed when
// they are the recorded ones, or nothing is recorded yet; otherwise the server has to say what they are good
// for. Without either, they are new.
func Open(rotation Rotation, recorded *Record, stored Credentials, now time.Time) Account {
	account := Account{Rotation: rotation}
	switch {
	case recorded == nil && stored.Password == "":
		account.Credentials = rotation.New(now)
	case recorded == nil:
		account.Credentials = stored
	case stored.Password != "" && stored.Active == recorded.Login && Revision(stored.Password) == recorded.Revision:
		known := recorded.credentials(rotation)
		known.Password, known.Next = stored.Password, stored.Next
		account.Credentials = rotation.Start(known, now)
	default:
		account.Credentials, account.Unverified = recorded.credentials(rotation), &stored
	}
	return account
}

// Use makes the credentials the tenant's.
func (a *Account) Use(credentials Credentials) { a.Credentials, a.Unverified = credentials, nil }

// Verify uses the credentials as they are in the light of what the server has. isRecorded says that some
// were recorded before.
func (a *Account) Verify(logins Logins, isRecorded bool) {
	switch {
	case a.Unverified != nil:
		a.Use(a.Rotation.Recover(*a.Unverified, a.Credentials, logins))
	case !isRecorded:
		a.Use(a.Rotation.WithFormer(a.Credentials, logins))
	default:
		a.Use(a.Rotation.Check(a.Credentials, logins))
	}
}

// FormerIsDue reports whether the former login has had its time.
func (a Account) FormerIsDue(now time.Time) bool {
	until := a.Credentials.FormerUntil
	return !until.IsZero() && !now.Before(until)
}

// AtRest reports whether the server, if it has the credentials, need not hear of them now.
func (a Account) AtRest(now time.Time) bool {
	return a.Unverified == nil && a.Credentials.Next == "" && !a.FormerIsDue(now)
}

// NextLook returns when the credentials are to be looked at again, if nothing else happens; zero if never.
// What is due already and could not be done has met a problem, which says when it is tried again: it counts
// only if all else is provisioned.
func (a Account) NextLook(now time.Time, provisioned bool) time.Time {
	if a.Unverified != nil {
		return time.Time{}
	}
	at := a.Rotation.NextLook(a.Credentials)
	if !provisioned && !now.Before(at) {
		return time.Time{}
	}
	return at
}

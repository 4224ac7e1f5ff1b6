package service

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Record is what the status records about a tenant's credentials. It has no password.
type Record struct {
	// Login is the index of the active login, 0 or 1; another number if that is not known.
	Login int
	// Revision is the [Revision] of its password.
	Revision string
	// RotatedAt is when the password was generated; zero if that is not known.
	RotatedAt time.Time
	// Request is the last [Rotation.Request] that the password has fulfilled.
	Request string
	// InGrace says that the former login was still enabled.
	InGrace bool
}

// Revision returns a hash that identifies a password. The password has 190 random bits, so the hash reveals
// nothing.
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
		if rotation.FormerInUse {
			credentials.FormerUntil = credentials.FormerUntil.Add(rotation.GracePeriod)
		}
	}
	return credentials
}

// active returns the recorded login, or the first one if none is recorded.
func (r Record) active() int {
	if r.Login == 1 {
		return 1
	}
	return 0
}

// Account is what the operator knows about a tenant's logins.
type Account struct {
	// Rotation says when the password changes.
	Rotation Rotation
	// Credentials are the tenant's credentials. While its Secret has others than the recorded ones, they are the
	// recorded ones, without a password, and Unverified are the Secret's.
	Credentials Credentials
	// Unverified is nil if the Secret is trusted.
	Unverified *Credentials
}

// Open returns the account of a tenant whose Secret has the stored credentials. They are trusted if they match the
// record, or if there is no record yet; otherwise the server must verify them. Without stored credentials and a
// record, Open generates new ones.
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

// Use sets the tenant's credentials.
func (a *Account) Use(credentials Credentials) { a.Credentials, a.Unverified = credentials, nil }

// Verify checks the credentials against what the server has, and sets them accordingly. isRecorded says that there
// was a record.
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

// FormerIsDue reports whether the grace period of the former login is over.
func (a Account) FormerIsDue(now time.Time) bool {
	until := a.Credentials.FormerUntil
	return !until.IsZero() && !now.Before(until)
}

// AtRest reports whether nothing needs to change on a server that has the credentials.
func (a Account) AtRest(now time.Time) bool {
	return a.Unverified == nil && a.Credentials.Next == "" && !a.FormerIsDue(now)
}

// NextLook returns when something must be done about the credentials, if nothing else happens; zero if never. A
// time in the past counts only if everything is provisioned: otherwise there is a problem, which has its own
// retry.
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

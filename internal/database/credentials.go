package database

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	passwordLength   = 32
	passwordAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	scramMechanism     = "SCRAM-SHA-256"
	scramIterations    = 4096
	scramMaxIterations = 100_000
	scramSaltLength    = 16
)

// Sensitive is a password or a verifier. It prints and marshals as asterisks, so that a struct
// that holds one can be logged.
type Sensitive string

// String returns asterisks.
func (Sensitive) String() string { return "***" }

// GoString returns asterisks.
func (s Sensitive) GoString() string { return strconv.Quote(s.String()) }

// MarshalText returns asterisks.
func (s Sensitive) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GeneratePassword returns a new random password of 32 letters and digits, which need no escaping
// in a connection URI.
func GeneratePassword() string {
	password := make([]byte, 0, passwordLength)
	random := make([]byte, passwordLength)
	for len(password) < passwordLength {
		rand.Read(random) // never fails
		for _, b := range random {
			// Four times the alphabet fits into a byte; what lies beyond would favor its beginning.
			if int(b) < 4*len(passwordAlphabet) && len(password) < passwordLength {
				password = append(password, passwordAlphabet[int(b)%len(passwordAlphabet)])
			}
		}
	}
	return string(password)
}

// Verifier returns what PostgreSQL stores for the password, in its own notation
// SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>. A role that is given a verifier as its
// password takes it as it is, so the password itself never reaches the server. The salt is
// random; use [Matches] to compare. The password must be ASCII.
func Verifier(password string) string {
	salt := make([]byte, scramSaltLength)
	rand.Read(salt) // never fails
	stored, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		panic(fmt.Sprintf("the Go runtime refuses PBKDF2 with SHA-256, which PostgreSQL requires: %v", err))
	}
	return stored
}

// Matches reports whether the verifier was made from the password, by [Verifier] or by PostgreSQL.
// Anything that isn't a SCRAM-SHA-256 verifier doesn't match, nor does one of more than 100,000
// iterations: a tenant may give its login a verifier that takes an hour to compare.
func Matches(stored, password string) bool {
	parameters, _, _ := strings.Cut(strings.TrimPrefix(stored, scramMechanism+"$"), "$")
	count, encodedSalt, _ := strings.Cut(parameters, ":")
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > scramMaxIterations {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(encodedSalt)
	if err != nil {
		return false
	}
	wanted, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
	return err == nil && subtle.ConstantTimeCompare([]byte(stored), []byte(wanted)) == 1
}

// verifier writes what the library computes in PostgreSQL's notation, which it doesn't have.
func verifier(password string, factors scram.KeyFactors) (string, error) {
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		return "", err
	}
	made, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramMechanism, factors.Iters, encode([]byte(factors.Salt)), encode(made.StoredKey), encode(made.ServerKey)), nil
}

// IsGenerated reports whether the password could be one of [GeneratePassword]. Others need
// escaping, or are easier to guess, and are replaced.
func IsGenerated(password string) bool {
	return len(password) == passwordLength && strings.Trim(password, passwordAlphabet) == ""
}

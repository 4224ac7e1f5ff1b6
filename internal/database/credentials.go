package database

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

const (
	passwordLength   = 32
	passwordAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	scramMechanism  = "SCRAM-SHA-256"
	scramIterations = 4096
	scramSaltLength = 16
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
	return verifier(password, salt, scramIterations)
}

// Matches reports whether the verifier was made from the password, by [Verifier] or by PostgreSQL.
// Anything that isn't a SCRAM-SHA-256 verifier doesn't match.
func Matches(stored, password string) bool {
	parameters, _, _ := strings.Cut(strings.TrimPrefix(stored, scramMechanism+"$"), "$")
	count, encodedSalt, _ := strings.Cut(parameters, ":")
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(encodedSalt)
	if err != nil {
		return false
	}
	return hmac.Equal([]byte(stored), []byte(verifier(password, salt, iterations)))
}

// verifier follows RFC 5802, section 3.
func verifier(password string, salt []byte, iterations int) string {
	saltedPassword, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("the Go runtime refuses PBKDF2 with SHA-256, which PostgreSQL requires: %v", err))
	}
	storedKey := sha256.Sum256(authenticationCode(saltedPassword, "Client Key"))
	serverKey := authenticationCode(saltedPassword, "Server Key")
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramMechanism, iterations, encode(salt), encode(storedKey[:]), encode(serverKey))
}

func authenticationCode(key []byte, message string) []byte {
	code := hmac.New(sha256.New, key)
	code.Write([]byte(message))
	return code.Sum(nil)
}

// IsGenerated reports whether the password could be one of [GeneratePassword]. Others need
// escaping, or are easier to guess, and are replaced.
func IsGenerated(password string) bool {
	return len(password) == passwordLength && strings.Trim(password, passwordAlphabet) == ""
}

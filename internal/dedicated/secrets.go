package dedicated

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

const (
	// superuserRole is the role that the operator logs in by.
	superuserRole = "postgres"
	// keyVerifier is the key of what the server stores of the password.
	keyVerifier = "verifier"
	// keyLogin is the key of the statement that gives superuserRole its password, as a verifier.
	keyLogin = "login.sql"
	// keyAuthority is the key of the authority's certificate.
	keyAuthority = "ca.crt"

	// certificateLifetime is long, since a new certificate restarts the server and the tenant's app.
	certificateLifetime = 10 * 365 * 24 * time.Hour
	// certificateLeft is what must be left of it.
	certificateLeft = 30 * 24 * time.Hour
)

// Secrets are what a server has to keep to itself. All but the password and its verifier is for a
// server without CloudNativePG, which makes certificates of its own.
type Secrets struct {
	// Password is the superuser's.
	Password string
	// Verifier is what the server stores of it.
	Verifier string
	// Authority is the certificate of the authority that has signed Certificate, as PEM.
	Authority []byte
	// Certificate is the server's certificate, and Key its private key, as PEM.
	Certificate, Key []byte
}

// SecretsIn are those in the Secrets of a server; nothing where there is none.
func SecretsIn(superuser, authority, certificate *corev1.Secret) Secrets {
	secrets := Secrets{
		Password:    string(superuser.Data[corev1.BasicAuthPasswordKey]),
		Verifier:    string(superuser.Data[keyVerifier]),
		Authority:   authority.Data[keyAuthority],
		Certificate: certificate.Data[corev1.TLSCertKey],
		Key:         certificate.Data[corev1.TLSPrivateKeyKey],
	}
	return secrets
}

// CompletePassword returns the secrets with a new password and verifier for those that are missing or
// don't fit together.
func (s Secrets) CompletePassword() Secrets {
	if !database.IsGenerated(s.Password) {
		s.Password = database.GeneratePassword()
	}
	if !database.Matches(s.Verifier, s.Password) {
		s.Verifier = database.Verifier(s.Password)
	}
	return s
}

// CompleteCertificate returns the secrets with a new authority and certificate of the server of that host
// name, where they are missing, don't fit together, or are about to expire.
func (s Secrets) CompleteCertificate(host string, now time.Time) (Secrets, error) {
	if s.trusted(host, now.Add(certificateLeft)) {
		return s, nil
	}
	// The result is the server's certificate, followed by that of its authority.
	chain, key, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: host, MaxAge: certificateLifetime})
	if err != nil {
		return s, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	certificates, err := cert.ParseCertsPEM(chain)
	if err != nil {
		return s, fmt.Errorf("read the new certificate for %s: %w", host, err)
	}
	s.Key = key
	if s.Certificate, err = cert.EncodeCertificates(certificates[0]); err != nil {
		return s, err
	}
	s.Authority, err = cert.EncodeCertificates(certificates[1:]...)
	return s, err
}

// trusted says whether a client that knows the authority trusts the certificate at that time.
func (s Secrets) trusted(host string, at time.Time) bool {
	certificates, err := cert.ParseCertsPEM(s.Certificate)
	if err != nil || len(s.Key) == 0 {
		return false
	}
	authorities, err := cert.NewPoolFromBytes(s.Authority)
	if err != nil {
		return false
	}
	_, err = certificates[0].Verify(x509.VerifyOptions{DNSName: host, Roots: authorities, CurrentTime: at})
	return err == nil
}

// revision changes with whatever of the secrets the server reads when it starts.
func (s Secrets) revision() string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q%q%q", s.Verifier, s.Certificate, s.Key)
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// superuser has, beside the keys of a login, what a server without CloudNativePG reads at its start.
// The label makes CloudNativePG take a new password at once.
func superuser(in Inputs) desired.Object {
	secret := &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerSuperuser(in.Server.Name)),
		Type:       corev1.SecretTypeBasicAuth,
		Data: map[string][]byte{
			corev1.BasicAuthUsernameKey: []byte(superuserRole),
			corev1.BasicAuthPasswordKey: []byte(in.Secrets.Password),
			keyVerifier:                 []byte(in.Secrets.Verifier),
			keyLogin:                    fmt.Appendf(nil, "ALTER ROLE %s LOGIN SUPERUSER PASSWORD '%s';\n", superuserRole, in.Secrets.Verifier),
		},
	}
	secret.Labels["cnpg.io/reload"] = "true"
	return secret
}

func certificate(in Inputs) desired.Object {
	return &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerCertificate(in.Server.Name)),
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey: in.Secrets.Certificate, corev1.TLSPrivateKeyKey: in.Secrets.Key,
		},
	}
}

func authority(in Inputs) desired.Object {
	return &corev1.Secret{
		ObjectMeta: meta(in.Server, naming.ServerAuthority(in.Server.Name)),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{keyAuthority: in.Secrets.Authority},
	}
}

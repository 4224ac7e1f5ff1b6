package dedicated

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	// authorityLifetime is long because clients have to restart to trust a new authority.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// certificateLifetime is shorter: clients don't notice a new certificate of an authority that they
	// trust.
	certificateLifetime = 365 * 24 * time.Hour
	// authorityNotice is the time that clients have to start trusting a new authority before the server presents a
	// certificate that it has signed.
	authorityNotice = 7 * 24 * time.Hour
	// clockSkew is how far the clock of a client may lag behind.
	clockSkew = time.Hour
)

// renewal is a step in renewing a server's certificates. Each step except renewAll changes one Secret, so that a
// crash can't leave it half done.
type renewal int

const (
	// renewNothing means that nothing is due.
	renewNothing renewal = iota
	// renewAll replaces everything. No client can trust the current certificate, so none needs notice.
	renewAll
	// renewAuthority adds a new authority to those that clients trust.
	renewAuthority
	// renewCertificate has the newest authority sign a new certificate for the server.
	renewCertificate
)

// chain has the parsed certificates of a server.
type chain struct {
	// certificate is the server's certificate, and key its private key.
	certificate *x509.Certificate
	key         crypto.Signer
	// authorities are the authorities that clients trust and that have not expired.
	authorities []*x509.Certificate
	// issuer is the authority that has signed the certificate.
	issuer *x509.Certificate
	// signer is the authority whose private key is known. It may be the issuer. It is nil if no key is known:
	// earlier versions of the operator didn't keep it.
	signer    *x509.Certificate
	signerKey crypto.Signer
}

// parseChain returns an error if a client that trusts the authorities can't trust the server.
func parseChain(s Secrets, host string, now time.Time) (chain, error) {
	var c chain
	certificates, err := cert.ParseCertsPEM(s.Certificate)
	if err != nil {
		return c, err
	}
	if c.authorities, err = cert.ParseCertsPEM(s.Authority); err != nil {
		return c, err
	}
	c.authorities = slices.DeleteFunc(c.authorities, func(authority *x509.Certificate) bool { return now.After(authority.NotAfter) })
	if c.key, err = parseKey(s.Key); err != nil {
		return c, err
	}
	c.certificate = certificates[0]
	if !belongs(c.key, c.certificate) {
		return c, errors.New("the certificate is that of another key")
	}
	roots := x509.NewCertPool()
	for _, authority := range c.authorities {
		roots.AddCert(authority)
	}
	chains, err := c.certificate.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now})
	if err != nil {
		return c, err
	}
	c.issuer = chains[0][len(chains[0])-1]
	if c.signerKey, err = parseKey(s.AuthorityKey); err != nil {
		return c, nil //nolint:nilerr // The server is trusted just as well without the key.
	}
	if at := slices.IndexFunc(c.authorities, func(authority *x509.Certificate) bool { return belongs(c.signerKey, authority) }); at >= 0 {
		c.signer = c.authorities[at]
	}
	return c, nil
}

func parseKey(pem []byte) (crypto.Signer, error) {
	key, err := keyutil.ParsePrivateKeyPEM(pem)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T can't sign", key)
	}
	return signer, nil
}

func belongs(key crypto.Signer, certificate *x509.Certificate) bool {
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}

// next returns the step that is due.
func (c chain) next(now time.Time) renewal {
	switch {
	case c.signer == nil:
		if isDue(c.certificate, now) {
			return renewAuthority
		}
	case c.signer.Equal(c.issuer):
		if isDue(c.signer, now) {
			return renewAuthority
		}
		if isDue(c.certificate, now) {
			return renewCertificate
		}
	case !now.Before(c.trustedAt()):
		return renewCertificate
	}
	return renewNothing
}

// isDue reports whether two thirds of the lifetime have passed.
func isDue(certificate *x509.Certificate, now time.Time) bool {
	lifetime := certificate.NotAfter.Sub(certificate.NotBefore)
	return !now.Before(certificate.NotBefore.Add(lifetime / 3 * 2))
}

// trustedAt returns when clients have had time to start trusting the signer. It is no later than halfway to the
// expiry of the current certificate.
func (c chain) trustedAt() time.Time {
	known := c.signer.NotBefore.Add(clockSkew)
	return known.Add(min(authorityNotice, c.certificate.NotAfter.Sub(known)/2))
}

// CompleteCertificate does the next due step of renewing the certificates for this host name, and returns the
// resulting secrets. If certificates or keys are missing or don't fit together, it replaces all of them. Otherwise
// it renews an authority or a certificate once two thirds of its lifetime have passed. A renewed certificate has
// the same private key, so that the server needs no restart. Former authorities stay until they expire, because
// the server may still present a certificate of one.
func (s Secrets) CompleteCertificate(host string, now time.Time) (Secrets, error) {
	current, err := parseChain(s, host, now)
	step := renewAll
	if err == nil {
		step = current.next(now)
	}
	switch step {
	case renewAll:
		s, err = s.withAll(host, now)
	case renewAuthority:
		s, _, _, err = s.withAuthority(now, current.authorities...)
	case renewCertificate:
		s, err = s.withCertificate(host, now, current)
	case renewNothing:
	}
	if err != nil {
		return s, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	return s, nil
}

func (s Secrets) withAll(host string, now time.Time) (Secrets, error) {
	s, authority, authorityKey, err := s.withAuthority(now)
	if err != nil {
		return s, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return s, err
	}
	if s.Key, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		return s, err
	}
	return s.withCertificate(host, now, chain{key: key, signer: authority, signerKey: authorityKey})
}

// withAuthority returns the secrets with a new authority, which clients trust in addition to the given ones.
func (s Secrets) withAuthority(now time.Time, trusted ...*x509.Certificate) (Secrets, *x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return s, nil, nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: fmt.Sprintf("tenantry-database-ca@%d", now.Unix())},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLifetime),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	authority, err := sign(template, template, key.Public(), key)
	if err != nil {
		return s, nil, nil, err
	}
	if s.AuthorityKey, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		return s, nil, nil, err
	}
	s.Authority, err = cert.EncodeCertificates(append(trusted, authority)...)
	return s, authority, key, err
}

// withCertificate returns the secrets with a new certificate for the chain's key, signed by the chain's signer.
func (s Secrets) withCertificate(host string, now time.Time, c chain) (Secrets, error) {
	notAfter := now.Add(certificateLifetime)
	if c.signer.NotAfter.Before(notAfter) {
		notAfter = c.signer.NotAfter
	}
	certificate, err := sign(&x509.Certificate{
		Subject:  pkix.Name{CommonName: fmt.Sprintf("tenantry-database@%d", now.Unix())},
		DNSNames: []string{host}, NotBefore: now.Add(-clockSkew), NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, c.signer, c.key.Public(), c.signerKey)
	if err != nil {
		return s, err
	}
	s.Certificate, err = cert.EncodeCertificates(certificate)
	return s, err
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	signed, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(signed)
}

// HasCertificate reports whether the Secret has this certificate, as DER, which a server presents.
func HasCertificate(secret *corev1.Secret, shown []byte) bool {
	wanted, err := cert.ParseCertsPEM(secret.Data[corev1.TLSCertKey])
	return err == nil && bytes.Equal(wanted[0].Raw, shown)
}

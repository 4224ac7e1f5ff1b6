package cluster

import (
	"cmp"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/tenantry/tenantry/hack/authority"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/node"
)

// mastersGroup has all rights: the API server asks no authorizer about it.
const mastersGroup = "system:masters"

// writeIdentities writes the certificates of the servers, the key of ServiceAccount tokens, and
// a kubeconfig for the admin and for each part.
func (s *starter) writeIdentities() error {
	signer, err := authority.New(authorityName)
	if err != nil {
		return err
	}
	authorityPEM, err := signer.PEM()
	if err != nil {
		return fmt.Errorf("can't encode the certificate authority: %w", err)
	}
	if err := s.writeServerFiles(signer, authorityPEM); err != nil {
		return err
	}
	for path, user := range s.users() {
		pair, err := issueUser(signer, user.name, user.groups)
		if err != nil {
			return err
		}
		credentials := &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
		if err := writeKubeconfig(path, user.name, cmp.Or(user.url, s.url()), authorityPEM, credentials); err != nil {
			return err
		}
	}
	return nil
}

type user struct {
	name   string
	groups []string
	// url is where it finds the API server, if not on the loopback address.
	url string
}

// users returns all users by the paths of their kubeconfigs.
func (s *starter) users() map[string]user {
	users := map[string]user{
		s.layout.kubeconfig():                      {name: "admin", groups: []string{mastersGroup}},
		s.layout.partKubeconfig(controllerManager): {name: "system:kube-controller-manager"},
		s.layout.partKubeconfig(scheduler):         {name: "system:kube-scheduler"},
		s.layout.partKubeconfig(kwok):              {name: kwok, groups: []string{mastersGroup}},
	}
	for number := range s.options.RealNodes {
		for name, groups := range node.Users(number + 1) {
			users[s.layout.partKubeconfig(name)] = user{name, groups, fmt.Sprintf("https://%s:%d", fabric.Address, s.ports.apiServer)}
		}
	}
	return users
}

func (s *starter) writeServerFiles(signer *authority.Authority, authorityPEM []byte) error {
	server, err := issueServer(signer)
	if err != nil {
		return err
	}
	tokenKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return fmt.Errorf("can't make the key of ServiceAccount tokens: %w", err)
	}
	kubelets, err := issueUser(signer, "kube-apiserver", []string{mastersGroup})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		authorityFile:         authorityPEM,
		serverCertFile:        server.Certificate,
		serverKeyFile:         server.Key,
		tokenKeyFile:          tokenKey,
		kubeletClientCertFile: kubelets.Certificate,
		kubeletClientKeyFile:  kubelets.Key,
	} {
		if err := os.WriteFile(s.layout.config(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *starter) url() string {
	return "https://" + loopbackPort(s.ports.apiServer)
}

func writeKubeconfig(path, user, server string, trusted []byte, credentials *clientcmdapi.AuthInfo) error {
	const name = "tenantry"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: trusted}
	config.AuthInfos[user] = credentials
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("can't write a kubeconfig: %w", err)
	}
	return nil
}

// loadConfig removes the client's rate limit, since the API server has its own limits.
func loadConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const tokenLifetime = 365 * 24 * time.Hour

// Config returns a new configuration for clients of the cluster's admin, who has all rights. It has no client-side
// rate limit.
func (c *ControlPlane) Config() *rest.Config { return rest.CopyConfig(c.config) }

// KubeconfigPath returns the path of the admin's kubeconfig, <Dir>/kubeconfig.
func (c *ControlPlane) KubeconfigPath() string { return c.layout.kubeconfig() }

// AuditLogPath returns the path of the audit log for Options.AuditUsers. The file exists once the first of their
// requests was answered.
func (c *ControlPlane) AuditLogPath() string { return c.layout.auditLog() }

// KubectlPath returns the path of the program kubectl.
func (c *ControlPlane) KubectlPath() string { return c.layout.program(kubectl) }

// Kubectl runs kubectl as the cluster's admin and returns what it printed. The error has what kubectl wrote to
// standard error.
func (c *ControlPlane) Kubectl(ctx context.Context, args ...string) (string, error) {
	var output, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, c.layout.program(kubectl), append([]string{
		flag("kubeconfig", c.KubeconfigPath()),
		flag("cache-dir", c.layout.config("kubectl-cache")),
	}, args...)...)
	cmd.Stdout, cmd.Stderr = &output, &complaint
	if err := cmd.Run(); err != nil {
		return output.String(), fmt.Errorf("kubectl %s: %w: %s",
			strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return output.String(), nil
}

// ServiceAccountKubeconfig writes a kubeconfig with exactly the rights of the ServiceAccount, which must exist.
// Its token is valid for a year.
func (c *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name, path string) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("can't make a client of the control plane: %w", err)
	}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))},
	}
	request, err = client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("can't get a token for the ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return writeKubeconfig(path, name, c.config.Host, c.config.CAData,
		&clientcmdapi.AuthInfo{Token: request.Status.Token})
}

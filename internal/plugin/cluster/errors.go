package cluster

import (
	"errors"
	"fmt"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// sentence is an error that says what to do.
type sentence struct {
	text  string
	cause error
}

func (s *sentence) Error() string { return s.text }

func (s *sentence) Unwrap() error { return s.cause }

// say returns an error with a sentence instead of its own words.
func say(cause error, format string, args ...any) error {
	return &sentence{text: fmt.Sprintf(format, args...), cause: cause}
}

// upgrade is how to get rid of an older version.
const upgrade = "The Tenantry in this cluster is older than this plugin: it has no %s. Upgrade the CustomResourceDefinitions and the operator, or use the plugin of their version."

// explain says what an error of a request means for who runs the plugin. name is the name of the object that was asked
// for; empty for a list.
func (c *Connection) explain(err error, name string) error {
	noKind, unreachable := &meta.NoKindMatchError{}, &net.OpError{}
	var noResource *meta.NoResourceMatchError
	switch {
	case err == nil, errors.As(err, new(*sentence)):
		return err
	case errors.As(err, &noKind) && noKind.GroupKind.Group == v1alpha1.GroupVersion.Group:
		return c.noKind(err, noKind.GroupKind.Kind)
	case errors.As(err, &noResource):
		return say(err, "The cluster at %s has no %s.", c.config.Host, noResource.PartialResource.Resource)
	case apierrors.IsForbidden(err):
		return explainForbidden(err, name)
	case apierrors.IsUnauthorized(err):
		return say(err, "The API server at %s doesn't know who you are: the credentials in the kubeconfig are missing, wrong or out of date.", c.config.Host)
	case strings.Contains(err.Error(), "unknown field"):
		_, field, _ := strings.Cut(err.Error(), "unknown field ")
		return say(err, upgrade, strings.Trim(strings.TrimSuffix(strings.TrimSpace(field), ","), `"`))
	case errors.As(err, &unreachable):
		return say(err, "The API server at %s doesn't answer: %v.", c.config.Host, unreachable)
	default:
		return err
	}
}

// noKind says what it means that a cluster doesn't have a kind.
func (c *Connection) noKind(err error, kind string) error {
	tenants := v1alpha1.GroupVersion.WithKind("Tenant")
	if _, missing := c.client.RESTMapper().RESTMapping(tenants.GroupKind(), tenants.Version); kind == tenants.Kind || missing != nil {
		return say(err, "The cluster at %s has no Tenants: Tenantry isn't installed there, or this is another cluster than you mean. See kubectl config get-contexts.", c.config.Host)
	}
	return say(err, upgrade, kind)
}

// explainForbidden says which right is missing and who can grant it. What an admission policy says is already a
// sentence.
func explainForbidden(err error, name string) error {
	right, known := answer.MissingRight(err.Error(), name)
	if !known {
		return err
	}
	return say(err, "%s %s", right, right.Remedy())
}

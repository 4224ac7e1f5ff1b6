package tenant

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/follow"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/templates"
)

// ClassObjects is what tenants' objects from their classes have of their own: they are of kinds that aren't known
// beforehand, so that there is a watch of a kind as long as a tenant has, or may have, objects of it, and they belong to
// a field manager of their own, which takes no fields from others.
type ClassObjects struct {
	engine   *apply.Engine
	follower *follow.Follower
	changes  fleet.Notices
	compiled compiledTemplates
}

// NewClassObjects returns ClassObjects that write through one client and read the present state through another one,
// neither of which may have a cache.
func NewClassObjects(config *rest.Config, writing client.Client, live client.Reader) (*ClassObjects, error) {
	known, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	made := &ClassObjects{}
	made.follower = follow.New(known, objects, follow.Options{
		Label: naming.LabelClassObject, Manager: naming.FieldOwnerClass, Changed: made.changes.Add, Signs: signsOf,
	})
	strict := client.WithFieldValidation(writing, client.FieldValidation(metav1.FieldValidationStrict))
	made.engine = apply.New(&followedClient{Client: strict, follower: made.follower}, live, naming.FieldOwnerClass)
	return made, nil
}

// forget stops following what a tenant needs.
func (c *ClassObjects) forget(ctx context.Context, tenant string) {
	if c != nil {
		c.follower.Follow(ctx, tenant, nil)
	}
}

// signsOf returns what of an object can make a difference: which fields the operator owns, whether it is as it was
// written, and how it is.
func signsOf(object *unstructured.Unstructured) string {
	health := ""
	if result, err := status.Compute(object); err == nil {
		health = string(result.Status) + " " + result.Message
	}
	signs, _ := json.Marshal([]any{ // It always can.
		object.GetUID(), object.GetDeletionTimestamp(), object.GetManagedFields(), object.GetOwnerReferences(), object.GetLabels(), health,
	})
	return string(signs)
}

// followedClient reads from what is followed, and has what is written known at once.
type followedClient struct {
	client.Client
	follower *follow.Follower
}

func (c *followedClient) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	object, isUnstructured := into.(*unstructured.Unstructured)
	if !isUnstructured {
		return c.Client.Get(ctx, key, into, options...)
	}
	kind := object.GroupVersionKind()
	found := c.follower.Get(follow.Selection{Kind: kind}, key)
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Group: kind.Group, Resource: kind.Kind}, key.Name)
	}
	found.DeepCopyInto(object)
	return nil
}

func (c *followedClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return c.wrote(object, c.Client.Create(ctx, object, options...))
}

func (c *followedClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return c.wrote(object, c.Client.Patch(ctx, object, patch, options...))
}

func (c *followedClient) wrote(object client.Object, err error) error {
	if written, isUnstructured := object.(*unstructured.Unstructured); isUnstructured && err == nil {
		c.follower.Wrote(written)
	}
	return err
}

// maxCompiled is how many revisions are remembered with their compiled templates.
const maxCompiled = 256

// compiledTemplates has the compiled templates of revisions, which never change. The zero value is ready to use.
type compiledTemplates struct {
	mutex sync.Mutex
	known map[string]compiledObjects
}

type compiledObjects struct {
	templates []*templates.Template
	err       error
}

func (c *compiledTemplates) of(class *effective.Class) ([]*templates.Template, error) {
	if class == nil || len(class.Objects) == 0 {
		return nil, nil
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found, known := c.known[class.Revision]
	if !known {
		if c.known == nil || len(c.known) >= maxCompiled {
			c.known = map[string]compiledObjects{}
		}
		found.templates, found.err = templates.Compile(class.Objects)
		c.known[class.Revision] = found
	}
	return found.templates, found.err
}

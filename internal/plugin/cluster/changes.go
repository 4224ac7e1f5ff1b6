package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// pollInterval is how often the plugin looks whether what it waits for has come.
const pollInterval = 500 * time.Millisecond

// patch changes some fields of an object of the cluster. The API server refuses a field that it doesn't know, which an
// older version of Tenantry hasn't.
func (c *Connection) patch(ctx context.Context, object client.Object, fields map[string]any) error {
	content, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	err = c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, content), client.FieldOwner(FieldManager), client.FieldValidation("Strict"))
	return c.explain(err, object.GetName())
}

// SetSpec sets some fields of the spec of an object.
func (c *Connection) SetSpec(ctx context.Context, object client.Object, spec map[string]any) error {
	return c.patch(ctx, object, map[string]any{"spec": spec})
}

// Sleeper reads a Tenant and all else that decides whether it sleeps.
func (c *Connection) Sleeper(ctx context.Context, name string) (answer.Sleeper, error) {
	tenant, err := c.Tenant(ctx, name)
	if err != nil {
		return answer.Sleeper{}, err
	}
	class, _, err := c.Class(ctx, tenant)
	return answer.Sleeper{Tenant: tenant, Class: class, Now: time.Now()}, err
}

// Rotate asks for a new password of a tenant's database, and returns the Tenant with it.
func (c *Connection) Rotate(ctx context.Context, name string, timeout time.Duration) (*v1alpha1.Tenant, error) {
	tenant, err := c.Tenant(ctx, name)
	if err != nil {
		return nil, err
	}
	if tenant.Status.Database == nil || tenant.Status.Database.Login == "" {
		return nil, fmt.Errorf("the Tenant %s has no database with a login to rotate", name)
	}
	request := time.Now().UTC().Format(time.RFC3339Nano)
	err = c.patch(ctx, tenant, map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationRotateCredentials: request}}})
	if err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		if tenant, err = c.Tenant(ctx, name); err != nil {
			return false, err
		}
		return tenant.Status.Database != nil && tenant.Status.Database.RotationRequest == request, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		ready := meta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady)
		said := "the operator has said nothing about it"
		if ready != nil {
			said = ready.Message
		}
		return nil, say(err, "The rotation was asked for, and is not done after %s: %s", timeout, said)
	}
	return tenant, err
}

package databaseserver

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/backend"
	"github.com/tenantry/tenantry/internal/services"
	"github.com/tenantry/tenantry/internal/status"
)

// hostServices follows the Services that the hosts of servers name.
type hostServices struct {
	follower *services.Follower
	changes  chan event.GenericEvent
}

func newHostServices(cluster client.WithWatch) hostServices {
	h := hostServices{changes: make(chan event.GenericEvent)}
	h.follower = services.New(cluster, func(server string) {
		h.changes <- event.GenericEvent{Object: &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: server}}}
	})
	return h
}

// source has a server reconciled when the endpoints of its Service change.
func (h hostServices) source() source.Source {
	return source.Channel(h.changes, &handler.EnqueueRequestForObject{})
}

// of returns the Service that the host of a server names. For a dedicated server that isn't needed, since its pods
// are known.
func (h hostServices) of(ctx context.Context, server *v1alpha1.DatabaseServer) status.HostService {
	query, isService := backend.QueryFor(server.Spec.Host)
	if !isService || server.Spec.Dedicated != nil {
		h.follower.Forget(server.Name)
		return status.HostService{Known: true}
	}
	if err := h.follower.Follow(ctx, server.Name, query); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't find out which pods are behind the host of a database server", "host", server.Spec.Host)
		return status.HostService{}
	}
	for _, found := range h.follower.Found(server.Name) {
		return status.HostService{Known: true, Behind: new(backend.Of(found, server.Spec.Port, corev1.ProtocolTCP))}
	}
	if query.Name == "" {
		return status.HostService{Known: true}
	}
	return status.HostService{Known: true, Behind: &backend.Backend{Namespace: query.Namespace, Name: query.Name, Absent: true}}
}

package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// growth lets volumes grow with their claims. Kubernetes leaves that to external controllers, and those that there are
// know only volumes of type csi.
type growth struct {
	client  kubernetes.Interface
	local   provisioner
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
}

func newGrowth(client kubernetes.Interface, local provisioner, claims coreinformers.PersistentVolumeClaimInformer, volumes corelisters.PersistentVolumeLister) (*growth, error) {
	g := &growth{
		client: client, local: local, claims: claims.Lister(), volumes: volumes,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]()),
	}
	enqueue := func(object any) {
		if claim, err := cache.ObjectToName(object); err == nil {
			g.queue.Add(claim)
		}
	}
	_, err := claims.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) },
	})
	return g, err
}

func (g *growth) run(ctx context.Context) {
	go func() {
		<-ctx.Done()
		g.queue.ShutDown()
	}()
	for {
		claim, over := g.queue.Get()
		if over {
			return
		}
		if err := g.grow(ctx, claim); err != nil {
			klog.ErrorS(err, "Can't let a volume grow", "claim", claim)
			g.queue.AddRateLimited(claim)
		} else {
			g.queue.Forget(claim)
		}
		g.queue.Done(claim)
	}
}

// grow gives a claim the size that it asks for.
func (g *growth) grow(ctx context.Context, name cache.ObjectName) error {
	claim, err := g.claims.PersistentVolumeClaims(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || claim.Status.Phase != corev1.ClaimBound {
		return err
	}
	volume, err := g.volumes.Get(claim.Spec.VolumeName)
	if err != nil || !g.local.has(volume) {
		return err
	}
	size := sizeFor(claim)
	if size.Cmp(*claim.Status.Capacity.Storage()) <= 0 {
		return nil
	}
	if err := g.local.disk.grow(ctx, volume.Name, size.Value()); err != nil {
		return err
	}
	volume = volume.DeepCopy()
	volume.Spec.Capacity[corev1.ResourceStorage] = size
	if _, err := g.client.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("the volume has grown, and its object can't say so: %w", err)
	}
	claim = claim.DeepCopy()
	claim.Status.Capacity[corev1.ResourceStorage] = size
	claim.Status.Conditions, claim.Status.AllocatedResourceStatuses = nil, nil
	_, err = g.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	return err
}

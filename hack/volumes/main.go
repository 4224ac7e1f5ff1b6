// Command local-volumes provides PersistentVolumes of type local on one real node, inside of which it runs. Each volume
// is a file system of its own, in a file that is mounted through a loop device, so that it has the size that was asked
// for: it can be full, and it can grow.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	// name is the provisioner in StorageClasses.
	name = "tenantry.local/volumes"
	// A claim that can't be provided yet is tried again at least this often.
	resync = 15 * time.Second
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of the kubeconfig")
	node := flag.String("node", "", "name of the node that this runs on")
	dir := flag.String("dir", "", "folder of the volumes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *kubeconfig, provisioner{node: *node, disk: disk{*dir}})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "local-volumes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string, local provisioner) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, resync)
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	growth, err := newGrowth(client, local, claims, volumes.Lister())
	if err != nil {
		return err
	}
	provision := controller.NewProvisionController(ctx, client, name, local,
		controller.LeaderElection(false), // of another node, this knows the volumes only by name
		controller.ClaimsInformer(claims.Informer()),
		controller.VolumesInformer(volumes.Informer()),
		controller.ClassesInformer(factory.Storage().V1().StorageClasses().Informer()),
	)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go growth.run(ctx)
	provision.Run(ctx)
	return nil
}

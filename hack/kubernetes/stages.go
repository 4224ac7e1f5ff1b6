package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"

	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
)

// failingImages selects the images that no registry serves and those whose containers crash.
const failingImages = `.spec.containers[].image | select(test("^(missing|crashing)\\.invalid(/|$)"))`

var (
	//go:embed pod-container-failed.yaml
	podContainerFailed string
	//go:embed pod-container-back-off.yaml
	podContainerBackOff string
)

// printStages writes the stages of nodes and pods for kwok's --config: kwok's own, by which pods
// run as soon as they are scheduled, and ours, by which the failing images fail as on a kubelet.
func printStages() {
	stages, err := composeStages()
	if err == nil {
		err = kwokconfig.SaveTo(context.Background(), os.Stdout, stages)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "can't compose the stages of kwok: %v\n", err)
		os.Exit(1)
	}
}

func composeStages() ([]kwokconfig.InternalObject, error) {
	var stages []kwokconfig.InternalObject
	for _, source := range []struct {
		stage  string
		images internalversion.SelectorOperator
	}{
		{stage: fast.DefaultNodeInit},
		{stage: heartbeat.DefaultNodeHeartbeatWithLease},
		{stage: podfast.DefaultPodReady, images: internalversion.SelectorOpDoesNotExist},
		{stage: podfast.DefaultPodComplete, images: internalversion.SelectorOpDoesNotExist},
		{stage: podfast.DefaultPodDelete},
		{stage: podContainerFailed, images: internalversion.SelectorOpExists},
		{stage: podContainerBackOff, images: internalversion.SelectorOpExists},
	} {
		stage, err := kwokconfig.UnmarshalWithType[*internalversion.Stage](source.stage)
		if err != nil {
			return nil, err
		}
		if source.images != "" {
			stage.Spec.Selector.MatchExpressions = append(stage.Spec.Selector.MatchExpressions, internalversion.MatchExpression{
				JQ: &internalversion.SelectorJQ{Key: failingImages, Operator: source.images},
			})
		}
		stages = append(stages, stage)
	}
	return stages, nil
}

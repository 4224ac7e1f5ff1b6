// Command kubectl-tenantry is the kubectl plugin: kubectl tenantry.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/tenantry/tenantry/internal/plugin/command"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// version is set when the program is linked.
var version = "unknown"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What a library logs of an error comes before what the plugin says of it, and helps nobody.
	klog.SetLogger(logr.Discard())
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := command.New(streams, version).ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ended := (*command.ExitError)(nil); errors.As(err, &ended) {
		return ended.Code
	}
	fmt.Fprintln(os.Stderr, sentence(err))
	return 1
}

// sentence returns what an error says as a sentence.
func sentence(err error) string {
	text := []rune(view.Clean(err.Error()))
	if len(text) == 0 {
		return "It failed, and nobody knows why."
	}
	text[0] = unicode.ToUpper(text[0])
	return strings.TrimSuffix(string(text), ".") + "."
}

package command

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tenantry/tenantry/internal/plugin/cluster"
)

func (p *plugin) report() *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use: "report [TENANT]", Short: "Write what helps others to find out what is wrong, without secrets",
		Long: `Write an archive with what helps others to find out what is wrong: the Tenants, classes and servers, how the operator
runs and what it has logged and, with TENANT, what is in that tenant's namespaces. It is without the values of Secrets,
ConfigMaps, environment variables, settings and arguments. To remove the values of Secrets where they stand elsewhere,
such as in a log, it reads those Secrets that you may read.

Without TENANT, who may not list Tenants gets a report about the one that the current namespace belongs to.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: p.completeTenants,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			tenant := strings.Join(args, "")
			if _, err := connection.Tenants(cmd.Context()); apierrors.IsForbidden(err) && tenant == "" {
				if tenant, err = connection.Here(cmd.Context()); err != nil {
					return err
				}
			} else if err != nil && !apierrors.IsForbidden(err) {
				return err
			}
			files, err := connection.Report(cmd.Context(), tenant, p.version)
			if err != nil {
				return err
			}
			now := time.Now().UTC()
			if file == "" {
				file = strings.ReplaceAll(fmt.Sprintf("tenantry-report-%s-%s.tar.gz", tenant, now.Format("20060102T150405Z")), "--", "-")
			}
			if err := writeArchive(file, files, now); err != nil {
				return err
			}
			return p.sentences([]string{fmt.Sprintf("Written to %s, without secrets. Read its README.txt, and the rest, before you give it away.", file)})
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "The archive to write, which must not exist. Left out, it has a name with the time in the current folder.")
	return command
}

// writeArchive writes files into a new archive.
func writeArchive(name string, files []cluster.File, now time.Time) (err error) {
	target, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // The user names the file.
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(target)
	archive := tar.NewWriter(packed)
	defer func() { err = errors.Join(err, archive.Close(), packed.Close(), target.Close()) }()
	for _, file := range files {
		header := &tar.Header{Name: "tenantry-report/" + file.Name, Mode: 0o600, Size: int64(len(file.Content)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write([]byte(file.Content)); err != nil {
			return err
		}
	}
	return nil
}

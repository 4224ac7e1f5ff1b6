// Command package packages a Helm chart, as "helm package" does, but the same chart gives the same archive, byte by byte:
// all its files have the same time.
//
//	go run -C test/chart ./package -time 1767323045 CHART FOLDER
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	loader "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

func main() {
	seconds := flag.Int64("time", 0, "the time of the files, in seconds since 1970")
	flag.Parse()
	if flag.NArg() != 2 || *seconds == 0 {
		fmt.Fprintln(os.Stderr, "usage: package -time SECONDS CHART FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), time.Unix(*seconds, 0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from, to string, made time.Time) error {
	loaded, err := loader.Load(from)
	if err != nil {
		return err
	}
	loaded.StampModTimes(made)
	_, err = chartutil.Save(loaded, to)
	return err
}

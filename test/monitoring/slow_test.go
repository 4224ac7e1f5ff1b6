package monitoring

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// line forwards connections, and what is sent to the server takes as long as delay says, in nanoseconds.
type line struct {
	port  int32
	delay atomic.Int64
}

// lineTo forwards to an address until the end of the container of the specs.
func lineTo(address string) *line {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Close)
	made := &line{port: int32(listener.Addr().(*net.TCPAddr).Port)}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // The specs are over.
			}
			to, err := net.Dial("tcp", address)
			if err != nil {
				_ = from.Close()
				continue
			}
			go made.forward(to, from)
			go func() {
				_, _ = io.Copy(from, to) // It ends with either connection.
				_ = from.Close()
			}()
		}
	}()
	return made
}

func (l *line) forward(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		<-time.After(time.Duration(l.delay.Load()))
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
)

// net/http loses sight of a connection that was upgraded, so the context of its
// request does not end when the client goes away. A watched connection ends it.
type watchedConn struct {
	net.Conn
	gone context.CancelFunc
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	// A deadline in the past is how net/http lets go of it.
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.gone()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

type watchedListener struct{ net.Listener }

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: c, gone: func() {}}, nil
}

// untilClosed makes the context of a connection's requests. It is called before
// anything is read.
func untilClosed(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		if w, ok := t.NetConn().(*watchedConn); ok {
			ctx, w.gone = context.WithCancel(ctx)
		}
	}
	return ctx
}

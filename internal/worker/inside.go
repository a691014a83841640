package worker

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// What the worker inherits beside the usual three.
const (
	eventsFD = 3
	ordersFD = 4
)

// maxStack limits the stack of a goroutine, so that endless recursion ends sooner than at the
// default of a gigabyte.
const maxStack = 128 << 20

// exitEnded is the exit code of a worker that ends itself. Nobody reads it.
const exitEnded = 1

// Inside is the connection of a worker to the process that started it.
type Inside[O, E any] struct {
	events *sender
	orders *gob.Decoder
}

// Open makes this process a worker, after Take. It returns the first order.
func Open[O, E any]() (w *Inside[O, E], first O, err error) {
	// Programs that this process starts, such as credential plugins, must not keep the pipes open.
	syscall.CloseOnExec(eventsFD)
	syscall.CloseOnExec(ordersFD)
	w = &Inside[O, E]{events: newSender(os.NewFile(eventsFD, "events")), orders: gob.NewDecoder(os.NewFile(ordersFD, "orders"))}
	var l limits
	if err = errors.Join(w.orders.Decode(&l), w.orders.Decode(&first)); err != nil {
		return nil, first, fmt.Errorf("orders: %w", err)
	}
	if log.Writer() == os.Stderr {
		log.SetOutput(os.Stdout)
	}
	os.Stderr = os.Stdout
	SurviveReader()
	// Handled and not ignored: programs that this process starts would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), Signals()...)
	debug.SetMaxStack(maxStack)
	go w.heartbeat(l)
	return w, first, nil
}

// Tell sends an event. An error is not reported: the other process has ended, and this one is about
// to end.
func (w *Inside[O, E]) Tell(event E) {
	if err := w.events.send(envelope[E]{Event: &event}); err != nil {
		Exit(exitEnded)
	}
}

// Fatal ends this process if nothing else can end its work. why completes a sentence that begins
// with "the process".
func (w *Inside[O, E]) Fatal(why string) {
	if err := w.events.send(envelope[E]{Fatal: why}); err != nil {
		Exit(exitEnded)
	}
	Exit(exitEnded)
}

// FollowOrders calls handle with the further orders. It ends this process when the other process is
// gone.
func (w *Inside[O, E]) FollowOrders(handle func(O)) {
	for {
		var order O
		err := w.orders.Decode(&order)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			Exit(exitEnded)
		}
		if err != nil {
			w.Fatal(fmt.Sprintf("could not read its orders (%v)", err))
		}
		handle(order)
	}
}

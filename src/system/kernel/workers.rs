//! Threads for work that may never return. Idle threads are kept for further work, because starting a thread takes
//! longer than most work does.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use super::thread::spawn_thread;

/// A function that delivers the result of some work.
type Delivery = Box<dyn FnOnce() + Send>;

type Work = Box<dyn FnOnce() -> Delivery + Send>;

/// The threads that wait for work.
static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());

/// Does some work on another thread, and then calls `deliver` there with the result. Every signal is blocked in that
/// thread.
///
/// # Errors
/// The kernel refuses to start a thread. The work is returned.
pub fn on_worker<T, F>(work: F, deliver: impl FnOnce(T) + Send + 'static) -> Result<(), (io::Error, F)>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let worker = match idle().pop().map_or_else(start, Ok) {
        Ok(worker) => worker,
        Err(error) => return Err((error, work)),
    };
    let work: Work = Box::new(move || {
        let result = work();
        Box::new(move || deliver(result))
    });
    if let Err(unsent) = worker.send(work) {
        // The thread has ended, which only a panic can cause.
        unsent.0()();
    }
    Ok(())
}

fn start() -> io::Result<Sender<Work>> {
    let (sender, receiver) = mpsc::channel::<Work>();
    let own = sender.clone();
    spawn_thread("worker", None, move || {
        for work in receiver {
            let deliver = work();
            // The receiver of the result may have more work at once.
            idle().push(own.clone());
            deliver();
        }
    })?;
    Ok(sender)
}

fn idle() -> std::sync::MutexGuard<'static, Vec<Sender<Work>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::on_worker;

    #[test]
    fn a_thread_is_free_for_further_work_when_it_delivers() {
        let (sender, results) = mpsc::channel();
        let ask = || {
            let sender = sender.clone();
            let deliver = move |id| sender.send(id).expect("sent");
            assert!(on_worker(|| thread::current().id(), deliver).is_ok());
            results.recv().expect("a result")
        };
        let first = ask();
        // Tests in other threads of this process may take a worker meanwhile.
        assert!((0..100).any(|_| ask() == first));
    }
}

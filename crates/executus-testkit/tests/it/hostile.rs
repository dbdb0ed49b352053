//! The hostile server does what it is told.

use std::time::Duration;

use executus_testkit::hostile::{Greeting, HostileServer, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn connect(server: &HostileServer) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("POST {path} HTTP/1.1\r\nhost: h\r\nContent-Length: 2\r\n\r\nhi");
    stream.write_all(request.as_bytes()).await.unwrap();
}

async fn rest(stream: &mut TcpStream) -> Result<String, std::io::ErrorKind> {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.map_err(|error| error.kind())?;
    Ok(text)
}

#[tokio::test]
async fn it_answers_as_written_and_ends_as_told() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/reset" => Reply::new().reset(),
        "/drip" => Reply::new().drip("abc", 1, Duration::from_millis(1)).close(),
        "/many" => Reply::new().times("xy", 3).chunk("z").chunk("").close(),
        _ => Reply::ok("hello"),
    });
    let mut stream = connect(&server).await;
    ask(&mut stream, "/").await;
    ask(&mut stream, "/drip").await;
    let hello = "HTTP/1.1 200 Status\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(rest(&mut stream).await, Ok(format!("{hello}abc")));
    let mut stream = connect(&server).await;
    ask(&mut stream, "/many").await;
    assert_eq!(rest(&mut stream).await.as_deref(), Ok("xyxyxy1\r\nz\r\n0\r\n\r\n"));
    let mut stream = connect(&server).await;
    ask(&mut stream, "/reset").await;
    assert_eq!(rest(&mut stream).await, Err(std::io::ErrorKind::ConnectionReset));
    let counts = server.until(|counts| counts.open == 0).await;
    assert_eq!((counts.accepted, counts.requests, counts.answered, counts.given_up), (3, 4, 4, 0));
    let seen = server.requests();
    assert_eq!((seen[0].connection, seen[3].connection), (1, 3));
    assert_eq!((seen[0].text(), seen[0].header("content-length")), ("hi".to_owned(), Some("2")));
}

#[tokio::test]
async fn it_notices_that_a_client_went_away() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/stall" => Reply::new().stall(),
        _ => Reply::new().forever("x"),
    });
    for path in ["/stall", "/forever"] {
        let mut stream = connect(&server).await;
        ask(&mut stream, path).await;
        server.until(|counts| counts.requests > counts.answered + counts.given_up).await;
    }
    assert_eq!(server.until(|counts| counts.given_up == 2).await.answered, 0);
}

#[tokio::test]
async fn it_greets_and_cuts() {
    let greet = |number| match number {
        1 => Greeting::Close,
        2 => Greeting::Reset,
        3 => Greeting::Stall,
        _ => Greeting::Serve,
    };
    let server = HostileServer::greeting(greet, |_| Reply::new().stall());
    assert_eq!(rest(&mut connect(&server).await).await.as_deref(), Ok(""));
    // The reset may come before the connection is there.
    let reset = TcpStream::connect(server.address()).await;
    if let Ok(mut stream) = reset {
        assert!(rest(&mut stream).await.is_err());
    }
    let mut stalled = connect(&server).await;
    let mut served = connect(&server).await;
    ask(&mut served, "/").await;
    server.until(|counts| counts.requests == 1 && counts.open == 2).await;
    server.drop_all();
    assert_eq!(rest(&mut stalled).await.as_deref(), Ok(""));
    assert_eq!(rest(&mut served).await.as_deref(), Ok(""));
    let mut next = connect(&server).await;
    ask(&mut next, "/").await;
    server.until(|counts| counts.requests == 2).await;
    server.reset_all();
    assert_eq!(rest(&mut next).await, Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(server.until(|counts| counts.open == 0).await.given_up, 2);
}

#[tokio::test]
async fn its_place_can_be_taken() {
    let first = HostileServer::always(Reply::ok("first"));
    let address = first.address();
    drop(first);
    assert!(TcpStream::connect(address).await.is_err());
    let second =
        HostileServer::start_at(address, |_| Greeting::Serve, |_| Reply::ok("second").close());
    let mut stream = connect(&second).await;
    ask(&mut stream, "/").await;
    assert!(rest(&mut stream).await.unwrap().ends_with("second"));
}

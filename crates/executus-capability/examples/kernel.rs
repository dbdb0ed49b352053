//! A kernel in a program of one's own: a capability, its driver, a token, an invocation, its record.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::driver::{Driver, DriverError, DriverRequest, StreamingDriver};
use executus_capability::handle::Query;
use executus_capability::kernel::{ExpandRequest, GrantRequest, Invocation};
use executus_capability::route::Router;
use executus_capability::token::TokenAuthority;
use executus_capability::{
    Capability, CapabilityId, Constraints, Kernel, Mode, Principal, Registry, Safety,
};
use executus_core::Clock;
use serde_json::{Value, json};

/// Answers from memory; another one would ask a database or a server.
struct Tickets;

#[async_trait]
impl Driver for Tickets {
    fn id(&self) -> &str {
        "tickets"
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        match &*request.operation {
            "tickets.list" => Ok((0..200)
                .map(|n| json!({"id": n, "state": "open", "email": format!("p{n}@example.org")}))
                .collect()),
            "tickets.close" => Ok(json!({"closed": request.args.get("id")})),
            other => Err(DriverError::NoOperation {
                driver: self.id().to_owned(),
                operation: other.to_owned(),
            }),
        }
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        None
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let list = CapabilityId::new("tickets.list")?;
    let close = CapabilityId::new("tickets.close")?;
    let registry = Registry::builder()
        .register(Capability::new(list.clone(), Safety::Read, "Lists the tickets"))?
        .register(Capability::new(close.clone(), Safety::Write, "Closes a ticket"))?
        .build();
    let router = Router::new().otherwise("tickets");
    let authority = Arc::new(TokenAuthority::random(Clock::system())?);
    let kernel =
        Kernel::builder(registry, authority).router(router).driver(Arc::new(Tickets)).build()?;

    // Reading needs no role. The token is for this principal, this capability and ten rows.
    let ada = Arc::new(Principal::user("ada").role("reader"));
    let ten = Constraints::default().with(Constraints::MAX_ROWS, 10);
    let grant = GrantRequest::new(Arc::clone(&ada), list).constraints(ten);
    let token = kernel.grant(grant).await?;
    let invocation = Invocation::new(token, Arc::clone(&ada)).mode(Mode::Table);
    let frame = kernel.invoke(invocation).await?;
    println!("{} rows, the first is {:?}", frame.rows.len(), frame.rows.first());

    // The rest lies behind a handle.
    if let Some(handle) = &frame.handle {
        let query = Query::read(&json!({"offset": 8, "limit": 2}))?;
        let page = kernel.expand(ExpandRequest::new(&*handle.id, Arc::clone(&ada), query)).await?;
        println!("{} rows of {} behind the handle", page.rows.len(), page.total);
    }

    // Writing needs one that ada has not.
    let asked = GrantRequest::new(ada, close).justification("the customer said it is solved");
    let denials = kernel.explain_denial(&asked)?;
    println!("denied: {denials:?}");
    if let Err(error) = kernel.grant(asked).await {
        println!("the code is `{}`", error.code());
    }

    // Whatever became of it, there is a record.
    if let Some(record) = kernel.explain(&frame.action_id).await? {
        println!("{:?} by `{}` took {} ms", record.kind, record.driver_id, record.duration_ms);
    }
    kernel.close(Duration::from_secs(1)).await;
    Ok(())
}

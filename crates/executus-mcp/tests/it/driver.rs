//! A server as a driver of capabilities.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::driver::{Driver, DriverError, DriverRequest};
use executus_capability::{Capability, CapabilityId, Constraints, Principal, Safety};
use executus_core::Timestamp;
use executus_mcp::{McpDriver, McpServer};
use serde_json::{Value, json};

use crate::support::{args, hostile, python, within};

fn request(operation: &str, arguments: Value) -> DriverRequest {
    let id = CapabilityId::new("clock.now").unwrap();
    let capability = Capability::new(id, Safety::Read, "tells the time");
    DriverRequest {
        capability: Arc::new(capability),
        operation: operation.into(),
        args: Arc::new(args(arguments)),
        constraints: Arc::new(Constraints::default()),
        principal: Arc::new(Principal::user("somebody")),
        deadline: Timestamp::from_micros(0),
        idempotency_key: "key".into(),
        context: None,
    }
}

#[tokio::test]
async fn an_operation_is_performed_by_its_tool_and_no_other_is() {
    let server = McpServer::stdio("time", python("time")).build().unwrap();
    let driver = McpDriver::builder("clock", server.clone())
        .operation("clock.now", "get_current_time")
        .operation("convert", "convert_time")
        .build();
    assert_eq!(driver.id(), "clock");
    let now = driver.execute(&request("clock.now", json!({"timezone": "Asia/Tokyo"}))).await;
    let now = now.unwrap();
    assert!(now.to_string().contains("Asia/Tokyo"), "{now}");
    let convert = json!({
        "operation": "convert",
        "source_timezone": "UTC", "target_timezone": "Asia/Tokyo", "time": "12:00",
    });
    let converted = driver.execute(&request("convert", convert)).await.unwrap();
    assert!(converted.to_string().contains("21:00"), "{converted}");
    let error = driver.execute(&request("get_current_time", json!({}))).await.unwrap_err();
    assert!(matches!(error, DriverError::NoOperation { .. }), "{error}");
    let bad = request("clock.now", json!({"timezone": "Nowhere/Land"}));
    let error = driver.execute(&bad).await.unwrap_err();
    assert!(matches!(error, DriverError::Failed { retryable: false, .. }), "{error}");
    server.close().await;
}

#[tokio::test]
async fn what_is_lost_and_what_is_late_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    for mode in ["dies", "silent"] {
        let server = hostile(mode, &notes).limits(within(Duration::from_secs(2))).build().unwrap();
        server.tools().await.unwrap();
        let driver = McpDriver::builder("d", server.clone()).operation("work", "work").build();
        let error = driver.execute(&request("work", json!({}))).await.unwrap_err();
        match mode {
            "dies" => assert!(matches!(error, DriverError::Dropped { .. }), "{error}"),
            _ => assert!(matches!(error, DriverError::Timeout { .. }), "{error}"),
        }
        server.close().await;
    }
}

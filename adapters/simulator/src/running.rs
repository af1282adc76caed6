//! What `maestro simulate` serves, until it is stopped.

use std::net::SocketAddr;

use crate::{Line, PlantState, Port, Product, Server, Turn, live::LivePlant};

/// What is being served. Dropping it stops it without waiting.
pub struct Running {
    pub(crate) plant: Option<LivePlant>,
    pub(crate) servers: Vec<(String, Server)>,
    pub(crate) line: Option<(String, Line)>,
    pub(crate) product: Option<(String, Product)>,
}

impl Running {
    /// Names and addresses of what listens.
    pub fn devices(&self) -> Vec<(&str, SocketAddr)> {
        let servers = self.servers.iter().map(|(name, server)| (name.as_str(), server.addr()));
        let product = self.product.iter().filter(|(_, product)| product.line().is_none());
        servers.chain(product.map(|(name, product)| (name.as_str(), product.addr()))).collect()
    }

    /// The serial line, when that is what is served, or what a device is on.
    pub fn line(&self) -> Option<&Line> {
        let of_product = || self.product.as_ref().and_then(|(_, product)| product.line());
        self.line.as_ref().map(|(_, line)| line).or_else(of_product)
    }

    /// The device of a profile, when that is what is served.
    pub fn product(&self) -> Option<&Product> {
        self.product.as_ref().map(|(_, product)| product)
    }

    /// That device's profile.
    pub fn profile(&self) -> Option<&str> {
        self.product.as_ref().map(|(name, _)| name.as_str())
    }

    /// The port of a device, or of the line.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports().into_iter().find(|(known, _)| *known == name).map(|(_, port)| port)
    }

    fn ports(&self) -> Vec<(&str, &Port)> {
        let servers = self.servers.iter().map(|(name, server)| (name.as_str(), server.port()));
        let line = self.line.iter().map(|(name, line)| (name.as_str(), line.port()));
        let product = self.product.iter().map(|(name, product)| (name.as_str(), product.port()));
        servers.chain(line).chain(product).collect()
    }

    /// Turns the dial of all ports. False: what is served does not know it, because it is no device of a profile.
    pub fn turn(&self, turn: Turn) -> bool {
        match (turn, &self.product) {
            (Turn::Fault(fault, scope), _) => {
                self.ports().into_iter().for_each(|(_, port)| port.fault(fault, scope))
            }
            (_, Some((_, product))) => product.turn(turn),
            (_, None) => return false,
        }
        true
    }

    /// The home now.
    pub fn now(&self) -> Option<PlantState> {
        let of_product = || self.product().map(Product::now);
        self.plant.as_ref().map(LivePlant::now).or_else(of_product)
    }

    /// Closes all connections and waits until every server ended.
    pub async fn stop(self) {
        for (_, server) in self.servers {
            server.stop().await;
        }
        if let Some((_, line)) = self.line {
            line.stop().await;
        }
        if let Some((_, product)) = self.product {
            product.stop().await;
        }
    }
}

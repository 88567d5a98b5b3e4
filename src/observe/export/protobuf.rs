//! A writer for protocol buffers, which builds messages as bytes, field by field
//! (<https://protobuf.dev/programming-guides/encoding/>).

/// The kind of a field on the wire.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtoMessage(Vec<u8>);

impl ProtoMessage {
    /// Returns the bytes of the message.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds a whole number that is not negative (`uint64`, `int64`, an enum or a `bool`).
    pub(super) fn number(mut self, field: u32, value: u64) -> ProtoMessage {
        self.tag(field, Wire::Varint);
        self.varint(value);
        self
    }

    /// Adds a `double`.
    pub(super) fn double(mut self, field: u32, value: f64) -> ProtoMessage {
        self.tag(field, Wire::Fixed64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a `float`.
    pub(super) fn float(mut self, field: u32, value: f32) -> ProtoMessage {
        self.tag(field, Wire::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a `fixed64`.
    pub(super) fn fixed(mut self, field: u32, value: u64) -> ProtoMessage {
        self.tag(field, Wire::Fixed64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a `string`.
    pub(super) fn text(mut self, field: u32, value: &str) -> ProtoMessage {
        self.block(field, value.as_bytes());
        self
    }

    /// Adds a message.
    pub(super) fn message(mut self, field: u32, value: ProtoMessage) -> ProtoMessage {
        self.block(field, &value.0);
        self
    }

    /// Adds messages, each as an element of a `repeated` field.
    pub(super) fn messages(self, field: u32, values: impl IntoIterator<Item = ProtoMessage>) -> ProtoMessage {
        values.into_iter().fold(self, |message, value| message.message(field, value))
    }

    fn block(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, Wire::Bytes);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn tag(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field) << 3 | wire as u64);
    }

    /// Writes seven bits in each byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::ProtoMessage;

    #[test]
    fn fields_are_written_as_the_encoding_guide_shows_them() {
        assert_eq!(ProtoMessage::default().number(1, 150).bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(ProtoMessage::default().text(2, "testing").bytes(), b"\x12\x07testing");
        let inner = ProtoMessage::default().number(1, 150);
        assert_eq!(ProtoMessage::default().message(3, inner).bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(ProtoMessage::default().double(16, 1.0).bytes(), [0x81, 0x01, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(ProtoMessage::default().float(1, 1.0).bytes(), [0x0d, 0, 0, 0x80, 0x3f]);
    }
}

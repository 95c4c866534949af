//! Changing one stage in the text of a `dvc.yaml`.

use trackway_yaml::{Map, Value};

use super::{DvcYaml, StageEdit};
use crate::{Error, schema};

impl DvcYaml<'_> {
    /// `text` with one stage changed, everything else as it stood. `None`: no stage is left, and DVC deletes the file.
    pub fn edit(text: &str, name: &str, edit: &StageEdit) -> Result<Option<String>, Error> {
        let data = schema::document(crate::error::parse_yaml(text, name)?);
        let stages = data.as_map().and_then(|data| data.get("stages")).and_then(Value::as_map);
        match edit {
            StageEdit::Set(stage) => {
                if stage.parametrized {
                    return Err(Error::Parametrized { action: "dump", stage: stage.name.clone() });
                }
                if data.as_map().is_none_or(Map::is_empty) {
                    let mut stages = Map::new();
                    stages.insert(stage.name.as_str(), stage.to_value());
                    let mut data = Map::new();
                    data.insert("stages", stages);
                    return Ok(Some(trackway_yaml::emit(&Value::Map(data))));
                }
                let mut document = crate::error::parse_document(text, name)?;
                let mut changed = data.clone();
                if let Value::Map(data) = &mut changed {
                    if !data.contains_key("stages") {
                        data.insert("stages", Map::new());
                    }
                    if let Some(Value::Map(stages)) = data.get_mut("stages") {
                        stages.insert(stage.name.as_str(), stage.to_value());
                    }
                }
                document.apply(&changed);
                Ok(Some(document.to_string()))
            }
            StageEdit::Remove(stage) => {
                if stage.parametrized {
                    return Err(Error::Parametrized { action: "remove", stage: stage.name.clone() });
                }
                let Some(stages) = stages.filter(|stages| stages.contains_key(&stage.name)) else {
                    return Ok(Some(text.to_owned()));
                };
                if stages.len() == 1 {
                    return Ok(None);
                }
                let mut document = crate::error::parse_document(text, name)?;
                document.remove(&["stages", &stage.name]);
                Ok(Some(document.to_string()))
            }
        }
    }
}
